"""Listings to sell: catalogs from files, made-up ones, and the sellers who answer for them."""
