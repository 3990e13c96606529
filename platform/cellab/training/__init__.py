"""What training a GAN or a member is made of: crops, pseudo-labels, checkpoints, random streams."""
