//! Training loops, history, callbacks and metrics for `nn-core`.
