"""What may be asked of the control plane: checked, recorded, and started."""
