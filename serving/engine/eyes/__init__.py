"""Eyes: from a picture to rows of the trunk. They are frozen; a projector is not.

- `serving.engine.eyes.features`: what eyes make of a picture, and what they promise.
"""
