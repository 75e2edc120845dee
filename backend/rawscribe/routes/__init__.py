"""One module per subject; each exports `router`."""
