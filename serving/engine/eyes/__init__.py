"""Eyes: from a picture to rows of the trunk. They are frozen; a projector is not.

- `serving.engine.eyes.features`: what eyes make of a picture, and what they promise.
- `serving.engine.eyes.kept`: what they made of it, kept by its content.
- `serving.engine.eyes.base_eyes`: the eyes that a vision-language base has of its own.
- `serving.engine.eyes.encoder`: a frozen encoder, eyes for a base that has none of its own;
  `serving.engine.eyes.encoder_eyes`: how its features stand in the trunk.
- `serving.engine.eyes.projector`: an encoder's features into rows; it trains, beside LoRA.
"""
