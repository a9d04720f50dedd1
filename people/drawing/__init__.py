"""What there is: appearances, structures, cameras and scenes, each drawn from its own stream."""
