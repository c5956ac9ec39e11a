//! The classification report against scikit-learn's own text and figures (`scripts/make_report_goldens.py`).

use nn_train::metrics::{Averages, ClassificationReport, ConfusionMatrix, accuracy};
use serde_json::Value;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Both sides sum at most 12 products of numbers in [0, 1] in f64, in orders of their own: 12 · 2⁻⁵³ · 2, and some.
const TOLERANCE: f64 = 1e-14;

fn goldens() -> Result<Vec<(String, Value)>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))? {
        let path = entry?.path();
        all.push((path.display().to_string(), serde_json::from_slice(&std::fs::read(&path)?)?));
    }
    assert!(all.len() >= 7, "{} golden reports", all.len());
    Ok(all)
}

fn labels(golden: &Value, key: &str) -> Result<Vec<i32>, serde_json::Error> {
    serde_json::from_value(golden[key].clone())
}

fn matrix(golden: &Value) -> Result<ConfusionMatrix, Box<dyn std::error::Error>> {
    let classes: usize = serde_json::from_value(golden["classes"].clone())?;
    Ok(ConfusionMatrix::from_labels(&labels(golden, "truth")?, &labels(golden, "predicted")?, classes)?)
}

#[test]
fn the_text_is_scikit_learns_to_the_letter() -> TestResult {
    for (name, golden) in goldens()? {
        let digits: usize = serde_json::from_value(golden["digits"].clone())?;
        let report = ClassificationReport::new(&matrix(&golden)?);
        if let Some(text) = golden["text"].as_str() {
            assert_eq!(format!("{report:.digits$}"), text, "{name}");
        } else {
            assert!(name.ends_with("report-all-wrong.json"), "{name} has no text");
        }
        if digits == 2 {
            assert_eq!(report.to_string(), format!("{report:.2}"), "two digits are the default");
        }
    }
    Ok(())
}

#[test]
fn every_score_and_every_count_is_scikit_learns() -> TestResult {
    for (name, golden) in goldens()? {
        let matrix = matrix(&golden)?;
        assert_eq!(serde_json::to_value(&matrix)?, golden["confusion_matrix"], "{name}");
        let report = ClassificationReport::new(&matrix);
        let check = |what: &str, found: [f64; 3], support: u64| {
            let expected = &golden["scores"][what];
            for (key, found) in ["precision", "recall", "f1-score"].into_iter().zip(found) {
                let expected = expected[key].as_f64().unwrap_or(f64::NAN);
                assert!(
                    (found - expected).abs() <= TOLERANCE,
                    "{name}: {what} {key}: {found} for {expected}"
                );
            }
            assert_eq!(Some(support as f64), expected["support"].as_f64(), "{name}: {what}");
        };
        for (class, s) in report.classes.iter().enumerate() {
            check(&class.to_string(), [s.precision, s.recall, s.f1], s.support);
        }
        let triple = |a: &Averages| [a.precision, a.recall, a.f1];
        check("macro avg", triple(&report.macro_average), report.support);
        check("weighted avg", triple(&report.weighted_average), report.support);
        let expected = golden["scores"]["accuracy"].as_f64().unwrap_or(f64::NAN);
        assert!((report.accuracy - expected).abs() <= TOLERANCE, "{name}");
        assert_eq!(accuracy(&labels(&golden, "truth")?, &labels(&golden, "predicted")?)?, report.accuracy);
    }
    Ok(())
}
