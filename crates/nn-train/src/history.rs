//! What a training run measured, epoch by epoch.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Named series with one value per epoch, in the order in which they were first pushed: `loss` and `accuracy` of the
/// training data, `val_…` of the validation data, `test_…` of the test data.
///
/// As JSON it is `{"loss": […], "accuracy": […], …}`. JSON has no word for what is not finite: such a value (a loss that
/// diverged) is written as `null` and read back as NaN.
///
/// ```
/// use nn_train::History;
/// let mut history = History::default();
/// history.push("loss", 0.5);
/// history.push("loss", 0.25);
/// assert_eq!(history.get("loss"), Some(&[0.5, 0.25][..]));
/// assert_eq!(serde_json::to_string(&history)?, r#"{"loss":[0.5,0.25]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    series: Vec<(String, Vec<f64>)>,
}

impl History {
    /// Appends one epoch's value to a series, which begins with it if it is new.
    pub fn push(&mut self, name: &str, value: f64) {
        match self.series.iter_mut().find(|(n, _)| n == name) {
            Some((_, values)) => values.push(value),
            None => self.series.push((name.to_owned(), vec![value])),
        }
    }

    /// Sets the value of the latest epoch in a series. One that begins late is NaN for the epochs before.
    ///
    /// ```
    /// use nn_train::History;
    /// let mut history = History::default();
    /// history.push("loss", 0.5);
    /// history.record("learning_rate", 0.1);
    /// assert_eq!(history.get("learning_rate"), Some(&[0.1][..]));
    /// ```
    pub fn record(&mut self, name: &str, value: f64) {
        let epochs = self.epochs().max(1);
        let values = match self.series.iter().position(|(n, _)| n == name) {
            Some(i) => &mut self.series[i].1,
            None => {
                self.series.push((name.to_owned(), Vec::new()));
                let last = self.series.len() - 1;
                &mut self.series[last].1
            }
        };
        values.resize(epochs, f64::NAN);
        values[epochs - 1] = value;
    }

    /// What was measured in the latest epoch.
    pub fn latest(&self) -> impl Iterator<Item = (&str, f64)> {
        let epochs = self.epochs();
        let latest = move |values: &[f64]| values.get(epochs.checked_sub(1)?).copied();
        self.iter().filter_map(move |(name, values)| Some((name, latest(values)?)))
    }

    /// Appends the epochs of a run that went on where this one stopped. What only one of the two measured is NaN for the
    /// epochs of the other.
    pub fn append(&mut self, later: &Self) {
        let (before, after) = (self.epochs(), self.epochs() + later.epochs());
        for (name, values) in later.iter() {
            if self.get(name).is_none() {
                self.series.push((name.to_owned(), Vec::new()));
            }
            if let Some((_, mine)) = self.series.iter_mut().find(|(n, _)| n == name) {
                mine.resize(before, f64::NAN);
                mine.extend(values);
            }
        }
        for (_, values) in &mut self.series {
            values.resize(after, f64::NAN);
        }
    }

    /// The values of a series, one per epoch.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, values)| values)
    }

    /// The last epoch's value of a series.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.get(name)?.last().copied()
    }

    /// All series in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.series.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// How many epochs were recorded.
    pub fn epochs(&self) -> usize {
        self.series.iter().map(|(_, values)| values.len()).max().unwrap_or(0)
    }
}

impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Series;
        impl<'de> Visitor<'de> for Series {
            type Value = History;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names to lists of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<History, A::Error> {
                let mut series = Vec::new();
                while let Some((name, values)) = map.next_entry::<String, Vec<Option<f64>>>()? {
                    let values = values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect();
                    series.push((name, values));
                }
                Ok(History { series })
            }
        }
        deserializer.deserialize_map(Series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_keep_the_order_in_which_they_came_and_come_back_from_json_bit_by_bit()
    -> Result<(), serde_json::Error> {
        let mut history = History::default();
        for (name, value) in
            [("val_loss", 0.1 + 0.2), ("accuracy", 1.0 / 3.0), ("val_loss", 5e-324), ("b", -1.5e300)]
        {
            history.push(name, value);
        }
        let json = serde_json::to_string(&history)?;
        assert!(json.starts_with(r#"{"val_loss":["#), "{json}");
        assert_eq!(serde_json::from_str::<History>(&json)?, history);
        Ok(())
    }

    #[test]
    fn a_diverged_loss_is_null_in_json_and_nan_when_read_back() -> Result<(), serde_json::Error> {
        let mut history = History::default();
        history.push("loss", f64::INFINITY);
        assert_eq!(serde_json::to_string(&history)?, r#"{"loss":[null]}"#);
        let back: History = serde_json::from_str(r#"{"loss":[null,2.0]}"#)?;
        assert!(back.get("loss").is_some_and(|l| l[0].is_nan() && l[1] == 2.0));
        Ok(())
    }

    #[test]
    fn a_series_that_begins_late_stays_in_step_with_the_others() {
        let mut history = History::default();
        for epoch in 0..3 {
            history.push("loss", f64::from(epoch));
            if epoch != 0 {
                history.record("learning_rate", 0.5);
            }
        }
        history.record("learning_rate", 0.25);
        assert!(history.get("learning_rate").is_some_and(|l| l[0].is_nan() && l[1..] == [0.5, 0.25]));
        assert_eq!(history.latest().collect::<Vec<_>>(), [("loss", 2.0), ("learning_rate", 0.25)]);
        history.push("loss", 3.0);
        assert_eq!(history.latest().collect::<Vec<_>>(), [("loss", 3.0)]);
        assert_eq!(History::default().latest().count(), 0);
    }

    #[test]
    fn appending_a_later_run_continues_every_series() {
        let (mut first, mut second) = (History::default(), History::default());
        first.push("loss", 3.0);
        second.push("loss", 2.0);
        second.push("val_loss", 4.0);
        first.append(&second);
        assert_eq!(first.get("loss"), Some(&[3.0, 2.0][..]));
        assert!(
            first.get("val_loss").is_some_and(|v| v[0].is_nan() && v[1..] == [4.0]),
            "in step with the loss"
        );
        assert_eq!((first.last("val_loss"), first.epochs(), first.get("none")), (Some(4.0), 2, None));
    }
}
