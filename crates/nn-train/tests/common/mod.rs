//! Examples that can be learnt.

/// How many classes the examples have.
pub(crate) const CLASSES: usize = 3;

/// How many columns the examples have.
pub(crate) const COLUMNS: usize = 4;

/// `rows` examples: column 0 is the row's number, the others depend on the class, with some disorder.
pub(crate) fn examples(rows: usize) -> (Vec<f64>, Vec<i32>) {
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let class = (row * 7 + row / 5) % CLASSES;
        x.extend([row as f64, (class as f64 - 1.0) + (row as f64).sin() * 0.8, 1.0, (row as f64).cos()]);
        labels.push(class as i32);
    }
    (x, labels)
}
