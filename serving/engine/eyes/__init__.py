"""What sees for a model: pictures into rows of its trunk.

- `encoder`: a frozen picture encoder, for a base that has no eyes of its own.
- `features`: what the encoder sees, computed once per picture.

Other rooms use:

- `serving.engine.eyes.encoder`: `Encoder`, `EncoderConfig`, `load_encoder`.
- `serving.engine.eyes.features`: `FeatureCache`.
"""
