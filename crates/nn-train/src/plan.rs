//! What was asked of `fit`, checked.

use std::sync::Arc;

use nn_core::Scalar;
use nn_core::models::Target;

use crate::{BatchSize, Dataset, Error, FitData, FitOptions, Result, TrainBegin, Trainable};

/// What was asked for, checked: every batch of every epoch will fit the network.
#[derive(Debug)]
pub(crate) struct Plan<'a, T> {
    pub(crate) train: Dataset<'a, T>,
    pub(crate) validation: Option<Dataset<'a, T>>,
    pub(crate) test: Option<Dataset<'a, T>>,
    pub(crate) batch_rows: usize,
    pub(crate) options: &'a FitOptions,
    /// What the network measures.
    pub(crate) names: Arc<[String]>,
}

/// The parts that are measured after each epoch, and what their figures' names begin with.
pub(crate) const VALIDATION: &str = "val_";
pub(crate) const TEST: &str = "test_";

impl<'a, T: Scalar> Plan<'a, T> {
    /// `weights`: those of [`row_weights`].
    pub(crate) fn new(
        network: &dyn Trainable<T>,
        data: &FitData<'a, T>,
        weights: Option<&'a [T]>,
        options: &'a FitOptions,
    ) -> Result<Self> {
        let FitData { mut train, mut validation, test } = data.clone();
        if options.initial_epoch > options.epochs {
            return Err(Error::invalid(format_args!(
                "fit: the first epoch, {}, comes after the last of {}",
                options.initial_epoch, options.epochs
            )));
        }
        if train.rows() == 0 {
            return Err(Error::invalid("fit: expected at least one training row, found none"));
        }
        network.check(&train.whole())?;
        for (name, part) in [("validation", &validation), ("test", &test)] {
            let Some(part) = part else { continue };
            if part.rows() == 0 {
                return Err(Error::invalid(format_args!(
                    "fit: expected at least one row of {name} data, found none; leave them out instead"
                )));
            }
            network
                .check(&part.whole())
                .map_err(|e| Error::invalid(format_args!("fit: {name} data: {e}")))?;
        }
        let split = options.validation_split != 0.0;
        if split && validation.is_some() {
            return Err(Error::invalid("fit: expected validation data or a validation split, found both"));
        }
        if split {
            // The rows that are held back keep the weights of their own, without those of their classes.
            validation = Some(train.split_last(options.validation_split)?.1);
        }
        if let Some(weights) = weights {
            train = train.weighted(weights)?;
        }
        if split {
            train = train.split_last(options.validation_split)?.0;
        }
        let batch_rows = match options.batch_size {
            BatchSize::Rows(rows) => rows.get().min(train.rows()),
            BatchSize::Full => train.rows(),
        };
        Ok(Self { train, validation, test, batch_rows, options, names: network.figure_names() })
    }

    /// Updates per epoch.
    pub(crate) fn batches(&self) -> usize {
        self.train.rows().div_ceil(self.batch_rows)
    }

    /// The figures of an epoch, without what callbacks add.
    pub(crate) fn figures(&self) -> Vec<String> {
        let prefixes =
            [Some(""), self.validation.as_ref().map(|_| VALIDATION), self.test.as_ref().map(|_| TEST)];
        let names = |prefix: &'static str| self.names.iter().map(move |name| format!("{prefix}{name}"));
        prefixes.into_iter().flatten().flat_map(names).collect()
    }

    /// What callbacks are told at first.
    pub(crate) fn begin<'b>(&self, figures: &'b [String]) -> TrainBegin<'b> {
        TrainBegin {
            initial_epoch: self.options.initial_epoch,
            epochs: self.options.epochs,
            batches: self.batches(),
            train_rows: self.train.rows(),
            validation_rows: self.validation.as_ref().map_or(0, Dataset::rows),
            test_rows: self.test.as_ref().map_or(0, Dataset::rows),
            figures,
        }
    }
}

/// The weight of each training row, its own times its class's; none if classes have none.
pub(crate) fn row_weights<T: Scalar>(
    train: &Dataset<'_, T>,
    classes: &[(i32, f64)],
) -> Result<Option<Vec<T>>> {
    if classes.is_empty() {
        return Ok(None);
    }
    let targets = train.targets();
    let [Target::Classes(labels)] = targets[..] else {
        return Err(Error::invalid(format_args!(
            "class weights: expected one target, of classes, found {}; give a weight for each row instead \
             (Dataset::weighted)",
            if targets.len() == 1 {
                "one of values".to_owned()
            } else {
                format!("{} targets", targets.len())
            }
        )));
    };
    for (i, &(class, weight)) in classes.iter().enumerate() {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::invalid(format_args!(
                "class weights: expected weights that are finite and not negative, found {weight} for class {class}"
            )));
        }
        if classes[..i].iter().any(|&(other, _)| other == class) {
            return Err(Error::invalid(format_args!("class weights: class {class} has two weights")));
        }
    }
    let of_class = |label| classes.iter().find(|&&(class, _)| class == label).map_or(1.0, |&(_, w)| w);
    let of_class = labels.iter().map(|&label| T::of(of_class(label)));
    Ok(Some(match train.weights() {
        Some(own) => own.iter().zip(of_class).map(|(&a, b)| a * b).collect(),
        None => of_class.collect(),
    }))
}
