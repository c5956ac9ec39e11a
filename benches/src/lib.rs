//! Benchmarks; see the `benches` folder of this member.
