//! Lightning backends for the Hazel mint.
