//! The optimizer that the options describe, and how it is described in turn.

use nn_core::optim::{Adagrad, Adam, AdamW, Clipping, Optimizer, RmsProp, Rule, Sgd};
use serde_json::{Map, Value, json};

use crate::args::{OptimizerArgs, OptimizerName};
use crate::failure::Failure;

/// An option that belongs to another optimizer is wrong usage rather than ignored.
pub(super) fn optimizer(args: &OptimizerArgs) -> Result<Optimizer, Failure> {
    check_owners(args)?;
    if args.nesterov && args.momentum.is_none_or(|m| m == 0.0) {
        return Err(Failure::usage(
            "--nesterov looks ahead along the momentum; expected --momentum F with F > 0",
        ));
    }
    let lr = args.lr.unwrap_or_else(|| default_rate(args.name));
    let or = |given: Option<f64>, default: f64| given.unwrap_or(default);
    let rule: Optimizer = match args.name {
        OptimizerName::Sgd => {
            let rule = Sgd::new(lr);
            rule.momentum(or(args.momentum, rule.momentum)).nesterov(args.nesterov).into()
        }
        OptimizerName::Rmsprop => {
            let rule = RmsProp::new(lr);
            let rule = rule.rho(or(args.rho, rule.rho)).momentum(or(args.momentum, rule.momentum));
            rule.epsilon(or(args.epsilon, rule.epsilon)).centered(args.centered).into()
        }
        OptimizerName::Adam => adam(args, Adam::new(lr)).into(),
        OptimizerName::Adamw => {
            let mut rule = AdamW::new(lr);
            rule.adam = adam(args, rule.adam);
            rule.weight_decay(or(args.weight_decay, rule.weight_decay)).into()
        }
        OptimizerName::Adagrad => {
            let rule = Adagrad::new(lr);
            let rule = rule.initial_accumulator(or(args.initial_accumulator, rule.initial_accumulator));
            rule.epsilon(or(args.epsilon, rule.epsilon)).into()
        }
    };
    let scheduled = match args.decay {
        Some(decay) => rule.decay(decay),
        None => rule.schedule(args.schedule.schedule.clone()),
    };
    let clipping = [
        args.clip_value.map(Clipping::Value),
        args.clip_norm.map(Clipping::Norm),
        args.clip_global_norm.map(Clipping::GlobalNorm),
    ];
    Ok(match clipping.into_iter().flatten().next() {
        Some(clipping) => scheduled.clipping(clipping),
        None => scheduled,
    })
}

/// Keras' own.
fn default_rate(name: OptimizerName) -> f64 {
    match name {
        OptimizerName::Sgd => 0.01,
        _ => 0.001,
    }
}

fn adam(args: &OptimizerArgs, rule: Adam) -> Adam {
    rule.beta_1(args.beta_1.unwrap_or(rule.beta_1))
        .beta_2(args.beta_2.unwrap_or(rule.beta_2))
        .epsilon(args.epsilon.unwrap_or(rule.epsilon))
}

fn check_owners(args: &OptimizerArgs) -> Result<(), Failure> {
    use OptimizerName::{Adagrad, Adam, Adamw, Rmsprop, Sgd};
    let owned: [(&str, bool, &[OptimizerName]); 9] = [
        ("--momentum", args.momentum.is_some(), &[Sgd, Rmsprop]),
        ("--nesterov", args.nesterov, &[Sgd]),
        ("--rho", args.rho.is_some(), &[Rmsprop]),
        ("--centered", args.centered, &[Rmsprop]),
        ("--beta-1", args.beta_1.is_some(), &[Adam, Adamw]),
        ("--beta-2", args.beta_2.is_some(), &[Adam, Adamw]),
        ("--epsilon", args.epsilon.is_some(), &[Rmsprop, Adam, Adamw, Adagrad]),
        ("--weight-decay", args.weight_decay.is_some(), &[Adamw]),
        ("--initial-accumulator", args.initial_accumulator.is_some(), &[Adagrad]),
    ];
    match owned.iter().find(|(_, given, owners)| *given && !owners.contains(&args.name)) {
        None => Ok(()),
        Some((option, _, owners)) => {
            let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
            Err(Failure::usage(format_args!(
                "{option} is an option of --optimizer {}, found --optimizer {}",
                owners.join(" or "),
                args.name
            )))
        }
    }
}

/// The optimizer in a few words: its name, its learning rate, and what differs from the defaults.
pub(super) fn in_words(optimizer: &Optimizer, args: &OptimizerArgs) -> String {
    let defaults = default_numbers(args.name);
    let numbers = optimizer.hyper_parameters();
    let changed = numbers.into_iter().filter(|number| !defaults.contains(number));
    let mut words = vec![optimizer.name().to_owned()];
    words.extend(changed.map(|(name, value)| format!("{name} {value}")));
    words.extend(flag(optimizer).filter(|(_, on)| *on).map(|(name, _)| name.to_owned()));
    if let Some(decay) = args.decay.filter(|&decay| decay != 0.0) {
        words.push(format!("decay {decay}"));
    }
    if args.schedule.text != "constant" {
        words.push(format!("schedule {}", args.schedule.text));
    }
    if let Some((name, limit)) = optimizer.clips().map(clipping) {
        words.push(format!("{} {limit}", name.replace('_', " ")));
    }
    words.join(", ")
}

/// The numbers of a rule that were not chosen; the learning rate is none of them.
fn default_numbers(name: OptimizerName) -> Vec<(&'static str, f64)> {
    let rule: Optimizer = match name {
        OptimizerName::Sgd => Optimizer::sgd(0.0),
        OptimizerName::Rmsprop => Optimizer::rmsprop(0.0),
        OptimizerName::Adam => Optimizer::adam(0.0),
        OptimizerName::Adamw => Optimizer::adamw(0.0),
        OptimizerName::Adagrad => Optimizer::adagrad(0.0),
    };
    rule.hyper_parameters().split_off(1)
}

/// The optimizer as JSON.
pub(super) fn describe(optimizer: &Optimizer, args: &OptimizerArgs) -> Value {
    let mut all = Map::new();
    all.insert("name".into(), json!(optimizer.name()));
    let numbers = optimizer.hyper_parameters().into_iter();
    all.extend(numbers.map(|(name, value)| (name.replace(' ', "_"), json!(value))));
    all.extend(flag(optimizer).map(|(name, on)| (name.to_owned(), json!(on))));
    all.insert("decay".into(), json!(args.decay.unwrap_or(0.0)));
    all.insert("schedule".into(), json!(args.schedule.text));
    all.extend(optimizer.clips().map(clipping).map(|(name, limit)| (name.to_owned(), json!(limit))));
    Value::Object(all)
}

/// What a rule either does or does not.
fn flag(optimizer: &Optimizer) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    match optimizer.rule() {
        Rule::Sgd(rule) => Some(("nesterov", rule.nesterov)),
        Rule::RmsProp(rule) => Some(("centered", rule.centered)),
        _ => None,
    }
    .into_iter()
}

fn clipping(clipping: Clipping) -> (&'static str, f64) {
    let name = match clipping {
        Clipping::Value(_) => "clip_value",
        Clipping::Norm(_) => "clip_norm",
        Clipping::GlobalNorm(_) => "clip_global_norm",
        _ => "clipping",
    };
    (name, clipping.limit())
}
