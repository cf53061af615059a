"""The temporal GAN: talking faces."""
