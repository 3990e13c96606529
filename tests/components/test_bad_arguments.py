"""Constructors reject impossible arguments with the argument, the value and what is allowed."""

import pytest
from hydra.errors import InstantiationException

BAD = [
    ("unet/paper", {"in_channels": 0}, "in_channels: 0 .* at least 1"),
    ("unet/paper", {"width": 0}, "width: 0 .* at least 1"),
    ("unet/paper", {"width": 2.5}, r"width: 2\.5 .* whole number"),
    ("unet/paper", {"blocks": 0}, "blocks: 0 .* at least 1"),
    ("unet/paper", {"blocks": True}, "blocks: True .* whole number"),
    ("unet/paper", {"dropout": 1.0}, r"dropout: 1\.0 .* \[0, 1\)"),
    ("unet/paper", {"dropout": -0.1}, r"dropout: -0\.1 .* \[0, 1\)"),
    ("generator/paper", {"latent": 0}, "latent: 0 .* at least 1"),
    ("generator/paper", {"size": 4}, "size: 4 .* power of two of at least 8"),
    ("generator/paper", {"size": 48}, "size: 48 .* power of two"),
    ("generator/paper", {"max_width": 3, "width": 4}, "max_width: 3 .* at least 4"),
    ("discriminator/plain", {"size": 100}, "size: 100 .* power of two"),
    ("discriminator/plain", {"in_channels": 0}, "in_channels: 0 .* at least 1"),
    ("discriminator/plain", {"width": 0}, "width: 0 .* at least 1"),
    ("discriminator/plain", {"negative_slope": 2}, r"negative_slope: 2 .* \[0, 1\]"),
    ("discriminator/plain", {"dilations": []}, r"dilations: \[\] .* non-empty"),
    ("discriminator/plain", {"dilations": [[]]}, r"dilations: \[\[\]\] .* non-empty"),
    ("discriminator/plain", {"dilations": [[0]]}, r"dilations: \[\[0\]\] .* at least 1"),
    ("discriminator/plain", {"dilations": [[1, 2, 4]], "width": 2}, r"dilations: .* more branches .*width: 2"),
    ("discriminator_ensemble/mean", {"size": 0}, "size: 0 .* at least 1"),
    ("generator/dcgan", {"latent": 0}, "latent: 0 .* at least 1"),
    ("generator/dcgan", {"size": 4}, "size: 4 .* power of two of at least 8"),
    ("generator/dcgan", {"max_width": 3, "width": 4}, "max_width: 3 .* at least 4"),
    ("generator/style", {"size": 48}, "size: 48 .* power of two"),
    ("generator/style", {"width": 0}, "width: 0 .* at least 1"),
    ("generator/style", {"mapping_layers": 0}, "mapping_layers: 0 .* at least 1"),
    ("discriminator_ensemble/max", {"size": 0}, "size: 0 .* at least 1"),
    ("discriminator_ensemble/softmax", {"size": 1.5}, r"size: 1\.5 .* whole number"),
    ("discriminator_ensemble/softmax", {"temperature": 0}, "temperature: 0 .* above 0"),
    ("gan_regulariser/clip", {"limit": -1}, "limit: -1 .* above 0"),
    ("gan_regulariser/gradient_penalty", {"weight": -1}, r"weight: -1 .* \[0, inf\)"),
    ("gan_regulariser/dragan", {"weight": -1}, r"weight: -1 .* \[0, inf\)"),
    ("gan_regulariser/dragan", {"spread": -0.5}, r"spread: -0\.5 .* \[0, inf\)"),
    ("gan_regulariser/r1", {"gamma": -1}, r"gamma: -1 .* \[0, inf\)"),
    ("gan_regulariser/r1", {"interval": 0}, "interval: 0 .* at least 1"),
    ("gan_augmentation/diffaugment", {"brightness": 2}, r"brightness: 2 .* \[0, 1\]"),
    ("gan_augmentation/diffaugment", {"contrast": -1}, r"contrast: -1 .* \[0, 1\]"),
    ("gan_augmentation/diffaugment", {"translation": 1.5}, r"translation: 1\.5 .* \[0, 1\]"),
    ("gan_augmentation/diffaugment", {"cutout": "half"}, r"cutout: 'half' .* \[0, 1\]"),
    ("gan_loss/ns", {"critic_steps": 0}, "critic_steps: 0 .* at least 1"),
    ("gan_loss/wgan", {"regulariser": {"limit": 0}}, "limit: 0 .* above 0"),
    ("gan_loss/wgan", {"regulariser": {"limit": float("inf")}}, "limit: inf .* finite"),
    ("gan_loss/ns_gp", {"regulariser": {"weight": -1}}, r"weight: -1 .* \[0, inf\)"),
    ("gan_loss/ns_gp", {"regulariser": {"weight": float("nan")}}, r"weight: nan .* \[0, inf\)"),
    ("segmentation_loss/bce_dice", {"dice_weight": -1}, r"dice_weight: -1 .* \[0, inf\)"),
    ("segmentation_loss/bce_dice", {"smoothing": 0}, "smoothing: 0 .* above 0"),
    ("voting/mean", {"threshold": 1}, r"threshold: 1 .* \[0, 1\)"),
    ("acceptance/running_mean", {"inertia": 1}, r"inertia: 1 .* \[0, 1\)"),
    ("acceptance/running_mean", {"inertia": "much"}, r"inertia: 'much' .* \[0, 1\)"),
    ("augmentation/flips", {"probability": 1.5}, r"probability: 1\.5 .* \[0, 1\]"),
    ("augmentation/paper", {"rotation": 200}, r"rotation: 200 .* \[0, 180\]"),
    ("augmentation/paper", {"zoom": [1.1, 0.9]}, r"zoom: \[1\.1, 0\.9\] .* low <= high"),
    ("augmentation/paper", {"zoom": [1.0]}, r"zoom: \[1\.0\] .* \[low, high\]"),
    ("augmentation/paper", {"zoom": [0, 1]}, r"zoom: \[0, 1\] .* 0\.1 <= low"),
    ("augmentation/paper", {"shear": -0.1}, r"shear: -0\.1 .* \[0, 1\]"),
    ("augmentation/paper", {"flip_probability": 2}, r"flip_probability: 2 .* \[0, 1\]"),
    ("augmentation/paper", {"appearance_probability": 2}, r"appearance_probability: 2 .* \[0, 1\]"),
    ("augmentation/paper", {"blur": [-1, 1]}, r"blur: \[-1, 1\] .* 0 <= low"),
    ("augmentation/paper", {"noise": [0, float("inf")]}, r"noise: \[0, inf\] .* 0 <= low"),
    ("prominence_schedule/by_generation", {"labelled": 1.5}, r"labelled: 1\.5 .* \[0, 1\]"),
    ("prominence_schedule/by_generation", {"pseudo_labels": [0.1, 2]}, r"pseudo_labels: 2 .* \[0, 1\]"),
    ("prominence_schedule/by_generation", {"pseudo_labels": []}, r"pseudo_labels: \[\] .* generation 1"),
    ("data_mix/by_generation", {"labelled": []}, r"labelled: \[\] .* generation 1"),
    ("data_mix/by_generation", {"pseudo": [1.5]}, r"pseudo: 1\.5 .* \[0, 1\]"),
    (
        "data_mix/by_generation",
        {"labelled": [0.0], "pseudo": [0.75, 0.5], "generated": [0.25]},
        "generation 2 .* add up",
    ),
]


@pytest.mark.parametrize(("component", "arguments", "message"), BAD)
def test_message_names_argument_value_and_what_is_allowed(build, component, arguments, message):
    with pytest.raises(InstantiationException) as caught:
        build(*component.split("/"), **arguments)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    with pytest.raises(ValueError, match=message):
        raise cause
