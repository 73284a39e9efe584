"""What is done to training images, in batches, on the device: shifts, flips, policies of operations, cutout."""

from micronet.training.augmentation.augmenter import Augmenter

__all__ = ["Augmenter"]
