//! `blas`: any CBLAS, linked or opened at run time.
