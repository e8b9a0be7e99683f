"""What columns are called, in the languages of shops: the words by which a role is guessed.

Names are compared without letter case, marks and what is no letter or digit: `Artikel-Nr.` is
`artikelnr`. Earlier words of a role go before later ones.
"""

import re
import unicodedata


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ROLES: dict[str, tuple[str, ...]] = {
    "id": _words(
        """
        productid sku itemsku itemid articleid offerid variantsku productcode itemnumber
        articlenumber artikelnummer artikelnr artnr artikelid produktid produktnummer bestellnummer
        uniqid uuid id identifier handle asin pid code reference ref refproduit idproduit
        codearticle referencia codigo codigoproducto idproducto codice codiceprodotto
        codicearticolo artikelcode produktkod artikelnummer varenummer varenr tuotenumero
        tuotekoodi kodproduktu indeks symbol kodproduktu cisloproduktu kod gtin ean ean13 barcode
        upc mpn urunkodu stokkodu
        """
    ),
    "group": _words(
        """
        cluster itemgroupid groupid parentid parentsku parent parentasin parentproductid
        parentproduct variantgroup productgroup productgroupid modelid masterid mastersku styleid
        stylenumber
        elternartikel vaterartikel vaterartikelnummer hauptartikel ubergeordnet
        ubergeordnetesprodukt idparent produitparent
        codigopadre codicepadre
        """
    ),
    "category": _words(
        """
        category categories categorypath categoryname categorytree productcategory
        productcategories producttype itemcategory taxonomy breadcrumb breadcrumbs department
        kategorie kategorien produktkategorie kategoriepfad warengruppe artikelgruppe produktart
        produktgruppe categorie catégorie categories rayon famille categoria categorias
        tipodeproducto familia categoriaprodotto tipologia categorieen productgroep rubriek
        kategori kategorier varegruppe tuoteryhma kategoria kategorie kategoriaproduktu kategorija
        kategoriler type class
        """
    ),
    "title": _words(
        """
        title producttitle productname itemname itemtitle name headline titel produkttitel
        produktname produktbezeichnung artikelbezeichnung artikelname bezeichnung kurzbezeichnung
        titre titreproduit nom nomproduit libelle designation intitule titulo nombre
        nombreproducto nomedoprodutto nome titolo nomeprodotto nomeproduto denominazione naam
        productnaam omschrijvingkort produktnavn navn namn produktnamn tuotenimi nimi nazwa
        nazwaproduktu nazev nazov nev urunadi ad label shortdescription
        """
    ),
    "description": _words(
        """
        description productdescription longdescription descriptionlong fulldescription bodyhtml
        body details desc itemdescription beschreibung produktbeschreibung artikelbeschreibung
        langbeschreibung langtext descriptif descriptionproduit descriptionlongue descripcion
        descripcionlarga descricao descrizione descrizionelunga omschrijving beschrijving
        productomschrijving beskrivelse beskrivning kuvaus opis opisproduktu popis leiras aciklama
        shortdescription kurzbeschreibung
        """
    ),
    "images": _words(
        """
        images image imageurl imageurls imagelink imagesrc imagesurls mainimage mainimageurl
        baseimage picture pictures pictureurl photo photos photourl thumbnail bild bilder bildurl
        bildlink produktbild hauptbild abbildung imagen imagenes urlimagen foto fotos imagem
        imagens immagine immagini urlimmagine afbeelding afbeeldingen billede billeder kuva kuvat
        zdjecie zdjecia obrazek obrazky kep gorsel resim urlphoto urlimage
        """
    ),
    "requested": ("requested",),
}
"""The roles of a product's own fields, to the words that columns are called by."""

IGNORED: frozenset[str] = frozenset(
    _words(
        """
        price saleprice regularprice listprice currency stock inventory availability quantity qty
        instock cost costprice margin tax vat taxclass discount rating ratings reviews reviewcount
        averagerating ratingnumber
        url link producturl productlink canonicalurl slug permalink created createdat createdon
        updated updatedat updatedon modified published publishedat status visibility enabled active
        position sortorder rank metatitle metadescription metakeywords seotitle seodescription
        keywords shipping shippingcost shippingclass condition preis verkaufspreis einkaufspreis
        bruttopreis nettopreis uvp waehrung lagerbestand bestand verfugbarkeit lieferzeit mwst
        aktiv erstellt geandert veroffentlicht sichtbarkeit sichtbarkeitimkatalog
        prix prixttc prixht devise disponibilite quantite precio precioventa
        moneda existencias disponibilidad prezzo valuta giacenza disponibilita preco prijs voorraad
        pris lager hinta varasto cena magazyn sklad ar fiyat stok
        """
    )
)
"""Columns that are about selling, not about the thing."""

YES_WORDS = _words("true yes y ja j oui si sì sí sim tak ano igen evet kyllä on x ✓ ✔")
NO_WORDS = _words("false no n nein non nee nej não nie ne nem hayır ei off")
"""Booleans as shops write them, compared without letter case."""

_LANGUAGES = (
    "en de fr es it nl pt da sv no nb fi pl cs sk hu ro bg el et lv lt sl hr tr ru uk ja zh ko ar "
    "he"
)
_LOCALE = re.compile(
    rf"""^(?P<stem>.+?)
    (?:[-_.:\s]+(?P<plain>(?:{"|".join(_LANGUAGES.split())})(?:[-_][A-Za-z]{{2}})?)
    |\s*[(\[](?P<round>(?:{"|".join(_LANGUAGES.split())})(?:[-_][A-Za-z]{{2}})?)[)\]])$""",
    re.VERBOSE | re.IGNORECASE,
)


def bare_name(column: str) -> str:
    """`column` as it is compared with the words."""
    apart = unicodedata.normalize("NFKD", column.casefold())
    return "".join(c for c in apart if c.isalnum())


def without_locale(column: str) -> tuple[str, str] | None:
    """Name and locale of a column in one language: `color-de_DE` is `color` in `de-DE`."""
    found = _LOCALE.match(column)
    if found is None:
        return None
    locale = (found["plain"] or found["round"]).replace("_", "-")
    language, _, country = locale.partition("-")
    return found["stem"].strip(" -_.:"), language.lower() + (
        f"-{country.upper()}" if country else ""
    )


def without_prefix(column: str) -> str:
    """`column` without the name of the object that it was in, as `attributes.Color`."""
    return _PREFIX.sub("", column, count=1) or column


def readable(column: str) -> str:
    """An attribute's name from a column's: `item_weight` is `item weight`."""
    name = without_prefix(column)
    return " ".join(name.replace("_", " ").split()) if " " not in name else name


_PREFIX = re.compile(
    r"(?i)^(?:(?:product[_ ])?"
    r"(?:attributes?|specs?|specifications?|catalog|features?|properties|details)\.)+"
)
