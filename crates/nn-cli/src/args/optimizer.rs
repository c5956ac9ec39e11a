//! The options of `nn train` that say how weights follow their gradients.

use std::fmt;

use clap::{Args, ValueEnum};
use nn_core::optim::Schedule;
use serde::Serialize;

use super::numbers::{fraction, not_negative, positive};

#[derive(Debug, Clone, PartialEq, Args)]
#[command(next_help_heading = "Optimizer")]
pub(crate) struct OptimizerArgs {
    /// How the weights follow their gradients
    #[arg(long = "optimizer", value_enum, default_value_t = OptimizerName::Adam)]
    pub(crate) name: OptimizerName,
    /// The learning rate [default: Keras' own: 0.01 for sgd, 0.001 for the others]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = positive)]
    pub(crate) lr: Option<f64>,
    /// Momentum, 0 to below 1; for sgd and rmsprop [default: 0]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = fraction)]
    pub(crate) momentum: Option<f64>,
    /// Look ahead along the momentum; for sgd
    #[arg(long)]
    pub(crate) nesterov: bool,
    /// How much of the mean square is kept at each update, 0 to below 1; for rmsprop [default: 0.9]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = fraction)]
    pub(crate) rho: Option<f64>,
    /// Divide by the gradient's standard deviation in place of its root mean square; for rmsprop
    #[arg(long)]
    pub(crate) centered: bool,
    /// How much of the mean gradient is kept at each update, 0 to below 1; for adam and adamw [default: 0.9]
    #[arg(long = "beta-1", value_name = "F", allow_negative_numbers = true, value_parser = fraction)]
    pub(crate) beta_1: Option<f64>,
    /// How much of the mean square is kept at each update, 0 to below 1; for adam and adamw [default: 0.999]
    #[arg(long = "beta-2", value_name = "F", allow_negative_numbers = true, value_parser = fraction)]
    pub(crate) beta_2: Option<f64>,
    /// What keeps divisors from 0; for all but sgd [default: 1e-7]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = not_negative)]
    pub(crate) epsilon: Option<f64>,
    /// The share of every weight, times the learning rate, that each update takes off; for adamw [default: 0.004]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = not_negative)]
    pub(crate) weight_decay: Option<f64>,
    /// What the sums of squares begin at; for adagrad [default: 0.1]
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = not_negative)]
    pub(crate) initial_accumulator: Option<f64>,
    /// Limit every element of the gradients to within F of 0
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = positive, group = "clipping")]
    pub(crate) clip_value: Option<f64>,
    /// Shorten the gradient of each kernel and each bias to F where it is longer
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = positive, group = "clipping")]
    pub(crate) clip_norm: Option<f64>,
    /// Shorten the gradient of all weights together to F where it is longer
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = positive, group = "clipping")]
    pub(crate) clip_global_norm: Option<f64>,
    /// Let the learning rate fall to lr / (1 + F · updates): --schedule inverse-time:1:F
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = not_negative, conflicts_with = "schedule")]
    pub(crate) decay: Option<f64>,
    /// What the learning rate is multiplied by as updates go on: constant, inverse-time:UPDATES:RATE,
    /// exponential:UPDATES:RATE, step:EVERY:FACTOR, cosine:UPDATES, cosine:UPDATES:ALPHA, or
    /// piecewise:B1,B2:V0,V1,V2: V0 up to update B1, and so on
    #[arg(long, value_name = "SCHEDULE", default_value = "constant", value_parser = ScheduleText::parse)]
    pub(crate) schedule: ScheduleText,
}

/// An optimizer, without its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OptimizerName {
    /// Gradient descent, with momentum if wanted
    Sgd,
    /// Steps divided by a running root mean square of the gradient
    Rmsprop,
    /// RMSprop with a mean gradient and bias correction
    Adam,
    /// Adam whose weights shrink a little at each update
    Adamw,
    /// Steps divided by the root of all squares so far
    Adagrad,
}

impl fmt::Display for OptimizerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sgd => "sgd",
            Self::Rmsprop => "rmsprop",
            Self::Adam => "adam",
            Self::Adamw => "adamw",
            Self::Adagrad => "adagrad",
        })
    }
}

/// A schedule, and how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScheduleText {
    pub(crate) schedule: Schedule,
    pub(crate) text: String,
}

impl ScheduleText {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let schedule = match *parts {
            ["constant"] => Schedule::Constant,
            ["inverse-time", steps, rate] => Schedule::InverseTime {
                decay_steps: updates(steps)?,
                decay_rate: not_negative(rate)?,
                staircase: false,
            },
            ["exponential", steps, rate] => Schedule::Exponential {
                decay_steps: updates(steps)?,
                decay_rate: positive(rate)?,
                staircase: false,
            },
            ["step", every, factor] => Schedule::Step { every: updates(every)?, factor: positive(factor)? },
            ["cosine", steps] => cosine(steps, 0.0)?,
            ["cosine", steps, alpha] => cosine(steps, fraction(alpha)?)?,
            ["piecewise", boundaries, values] => piecewise(boundaries, values)?,
            _ => {
                return Err("expected constant, inverse-time:UPDATES:RATE, exponential:UPDATES:RATE, step:EVERY:FACTOR, \
                            cosine:UPDATES, cosine:UPDATES:ALPHA or piecewise:B1,B2:V0,V1,V2"
                    .into());
            }
        };
        Ok(Self { schedule, text: text.to_owned() })
    }
}

fn updates(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a number of updates from 1 on".to_owned())
}

fn cosine(steps: &str, alpha: f64) -> Result<Schedule, String> {
    Ok(Schedule::Cosine { decay_steps: updates(steps)?, alpha, warmup_steps: 0, warmup_from: 0.0 })
}

fn piecewise(boundaries: &str, values: &str) -> Result<Schedule, String> {
    let boundaries: Vec<u64> = boundaries.split(',').map(updates).collect::<Result<_, _>>()?;
    let values: Vec<f64> = values.split(',').map(not_negative).collect::<Result<_, _>>()?;
    if boundaries.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("expected boundaries in ascending order".into());
    }
    if values.len() != boundaries.len() + 1 {
        return Err(format!(
            "expected one value more than boundaries, found {} for {}",
            values.len(),
            boundaries.len()
        ));
    }
    Ok(Schedule::Piecewise { boundaries, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_with_their_numbers() {
        let read = |text: &str| ScheduleText::parse(text).map(|found| found.schedule);
        assert_eq!(read("constant"), Ok(Schedule::Constant));
        assert_eq!(
            read("inverse-time:100:0.5"),
            Ok(Schedule::InverseTime { decay_steps: 100, decay_rate: 0.5, staircase: false })
        );
        assert_eq!(
            read("exponential:100:0.96"),
            Ok(Schedule::Exponential { decay_steps: 100, decay_rate: 0.96, staircase: false })
        );
        assert_eq!(read("step:10:0.1"), Ok(Schedule::Step { every: 10, factor: 0.1 }));
        let cosine =
            |alpha| Ok(Schedule::Cosine { decay_steps: 500, alpha, warmup_steps: 0, warmup_from: 0.0 });
        assert_eq!((read("cosine:500"), read("cosine:500:0.1")), (cosine(0.0), cosine(0.1)));
        assert_eq!(
            read("piecewise:10,20:1,0.5,0.1"),
            Ok(Schedule::Piecewise { boundaries: vec![10, 20], values: vec![1.0, 0.5, 0.1] })
        );
    }

    #[test]
    fn schedules_that_mean_nothing_are_refused() {
        for (wrong, words) in [
            ("", "expected constant"),
            ("linear:5", "expected constant"),
            ("constant:1", "expected constant"),
            ("step:10", "expected constant"),
            ("step:0:0.5", "from 1 on"),
            ("step:1.5:0.5", "from 1 on"),
            ("exponential:10:0", "greater than 0"),
            ("inverse-time:10:-1", "0 or greater"),
            ("cosine:10:1.5", "below 1"),
            ("piecewise:10:1", "one value more"),
            ("piecewise:20,10:1,1,1", "ascending"),
            ("piecewise::1,1", "from 1 on"),
        ] {
            let error = ScheduleText::parse(wrong).err().unwrap_or_default();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }
}
