//! Rooms keep to their imports.
