//! What the program `nn` shares with its examples: the page that a lesson is told on. The program itself is the binary.

pub mod lesson;
