//! The model catalogue and the shared cache: resolve, download, verify, convert and remove models.
