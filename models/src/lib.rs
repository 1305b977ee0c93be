//! belvedere-models
