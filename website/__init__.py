"""What the documentation's site is made with: generated reference pages, and hooks of MkDocs."""
