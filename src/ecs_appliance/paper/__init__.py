"""The configuration on paper: bytes to QR codes to sheets, and back. Runs on any laptop and needs only wheels."""
