"""Trains one member of a generation, from scratch (paper 3, 4)."""

import torch

from cellab.requests import MemberTrained, TrainMember
from cellab.stage import Workplace
from cellab.training.checkpoint import Checkpoint
from cellab.training.frames import Frames
from cellab.training.member import Member
from cellab.training.networks import UNET, save_weights


def train_member(request: TrainMember, workplace: Workplace) -> MemberTrained:
    """Trains a U-Net on the request's mix of labelled, pseudo-labelled and generated crops.

    Returns:
        The loss over time, and what each source of pseudo-labels went through. The weights are a file.

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    frames = Frames.of_labelled(
        workplace.data,
        request.data,
        request.labels,
        torch.device(request.compute.device),
        with_truth=request.pseudo_labelling is not None,
    )
    checkpoint = Checkpoint(workplace.checkpoint, lambda: Member(request, frames, workplace))
    restored = checkpoint.restore()
    member = checkpoint.training
    if not restored:
        member.prepare(workplace.progress)
    while member.step < request.settings.steps:
        member.learn()
        workplace.progress(member.step, request.settings.steps)
        checkpoint.save_if_due()
    save_weights(member.network(), workplace.output / UNET)
    return member.result()
