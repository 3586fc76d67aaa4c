//! One test for each fault that a user met, named after what went wrong, with the issue or commit that mended it.
//! There is none yet.
