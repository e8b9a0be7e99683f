"""A tiny random picture encoder, for tests that need eyes but not good ones.

It tells plain colours apart: that much a random convolution keeps.
"""

from pathlib import Path


def make_tiny_encoder(path: Path, seed: int = 0) -> Path:
    """Write sizes and weights to `path` (a few kB) and return it. Same seed, same weights.

    32 x 32 pixels into 4 rows of 16 features.
    """
    import torch
    from safetensors.torch import save_file

    from serving.engine.eyes.encoder import CONFIG, WEIGHTS, Encoder, EncoderConfig, Stage

    config = EncoderConfig(
        name="tiny",
        image_size=32,
        mean=127.0,
        std=128.0,
        stem=8,
        stages=(
            Stage(repeats=2, kernel=3, stride=2, expand=2, width=8),
            Stage(repeats=1, kernel=5, stride=4, expand=2, width=8),
        ),
        features=16,
        rows=4,
    )
    path.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config)
        for parameter in encoder.parameters():
            if parameter.dim() > 1:  # the usual start shrinks what is seen from layer to layer
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    save_file(encoder.state_dict(), path / WEIGHTS)
    (path / CONFIG).write_text(config.model_dump_json())
    return path
