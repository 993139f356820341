"""What pages show things with: slices drawn by the server, figures, trends; who looked at what."""
