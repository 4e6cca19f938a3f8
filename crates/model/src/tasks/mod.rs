//! Tasks: problems that can be generated, rendered, solved and graded.

pub mod prosqa;
