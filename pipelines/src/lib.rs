//! belvedere-pipelines
