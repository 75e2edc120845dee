"""The `syndi` command. Imports `local` and `control_plane`; nothing imports it."""
