//! `nn plot`: pictures of what runs left.

mod answers;
mod run;
mod terminal;

use std::path::{Path, PathBuf};

use nn_train::files::write_atomically;

use self::answers::Answers;
use self::run::Run;
use self::terminal::{Depth, curves, detect, heat, pixels, side_by_side};
use crate::args::{Graphics, Ground, PlotArgs, What};
use crate::draw::{
    Bitmap, Curve, Item, MOST_RUNS, MOST_UNITS, Scene, Theme, UnitPictures, Use, confusion, gallery, history,
    render, svg,
};
use crate::failure::Failure;
use crate::mistakes::Mistake;
use crate::render::{Gray, side_by_side as grey_side_by_side};
use crate::screen::{Screen, Style};

/// Digits or mistakes unless `--count` says otherwise: five rows of five.
const DIGITS: usize = 25;
/// The side of a digit's and of a unit's picture: three and two pixels for each of MNIST's 28.
const DIGIT_SIDE: f64 = 84.0;
const UNIT_SIDE: f64 = 56.0;
/// Around a picture that has no margin of its own.
const MARGIN: f64 = 16.0;
/// Pixels of a PNG file for each unit of the picture: sharp on paper and on screens of two pixels per point.
const PNG_SCALE: f64 = 2.0;

pub(crate) fn run(args: &PlotArgs, screen: &mut Screen) -> Result<(), Failure> {
    let file = args.out.as_deref().map(Target::new).transpose()?;
    check(args)?;
    let runs: Vec<Run> = args.runs.iter().map(|path| Run::read(path)).collect::<Result<_, _>>()?;
    let names = names(&runs, &args.runs);
    let picture = Picture::new(args, &runs, &names)?;
    let theme = match args.theme {
        Ground::Light => Theme::Light,
        Ground::Dark => Theme::Dark,
    };
    if let Some(target) = &file {
        target.write(&picture.scene(), theme)?;
    }
    if file.is_none() || args.terminal {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let characters = if screen.style.unicode { Graphics::Blocks } else { Graphics::Ascii };
        let found =
            || if screen.style.terminal { detect(variable, screen.style.unicode) } else { characters };
        let graphics = args.graphics.unwrap_or_else(found);
        let drawn = pixels(&picture.scene(), theme, graphics, screen.style.width).map_err(Failure::other)?;
        // A way to draw that was asked for is taken, even where it is not found out to be one.
        let style = Style { unicode: graphics != Graphics::Ascii, ..screen.style };
        let colour = style.colour || args.graphics == Some(Graphics::Blocks);
        let style = Style { colour: colour && style.unicode, ..style };
        let depth = Depth::detect(style.colour, &variable("COLORTERM"));
        screen.print(drawn.unwrap_or_else(|| picture.characters(theme, style, depth)));
    }
    if let Some(target) = &file {
        screen.print(format!("wrote {}", target.path.display()));
    }
    Ok(())
}

/// What does not go together is wrong usage.
fn check(args: &PlotArgs) -> Result<(), Failure> {
    let count = args.runs.len();
    if args.what == What::History {
        if args.count.is_some() {
            return Err(Failure::usage(
                "--count is an option of --what digits, mistakes and weights, found history",
            ));
        }
        if count > MOST_RUNS {
            return Err(Failure::usage(format_args!(
                "expected at most {MOST_RUNS} runs in one picture, as many as can be told apart, found {count}"
            )));
        }
        return Ok(());
    }
    if count > 1 {
        return Err(Failure::usage(format_args!("--what {} draws one run, found {count}", args.what.name())));
    }
    if args.what == What::Confusion && args.count.is_some() {
        return Err(Failure::usage(
            "--count is an option of --what digits, mistakes and weights, found confusion",
        ));
    }
    Ok(())
}

/// The runs' names, or their paths where two have the same name.
fn names(runs: &[Run], paths: &[PathBuf]) -> Vec<String> {
    let twice = |name: &str| runs.iter().filter(|run| run.name == name).count() > 1;
    let name = |(run, path): (&Run, &PathBuf)| {
        if twice(&run.name) { path.display().to_string() } else { run.name.clone() }
    };
    runs.iter().zip(paths).map(name).collect()
}

/// A file to write the picture to.
struct Target<'a> {
    path: &'a Path,
    png: bool,
}

impl<'a> Target<'a> {
    fn new(path: &'a Path) -> Result<Self, Failure> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        let png = match ending.as_deref() {
            Some("png") => true,
            Some("svg") => false,
            _ => {
                return Err(Failure::usage(format_args!(
                    "--out {}: expected a name that ends in .svg or .png",
                    path.display()
                )));
            }
        };
        Ok(Self { path, png })
    }

    fn write(&self, scene: &Scene, theme: Theme) -> Result<(), Failure> {
        let wrong = |e: String| Failure::other(format_args!("{}: {e}", self.path.display()));
        let bytes = if self.png {
            render(scene, theme, PNG_SCALE).and_then(|bitmap| bitmap.png()).map_err(wrong)?
        } else {
            svg(scene, Use::File).into_bytes()
        };
        Ok(write_atomically(self.path, &bytes)?)
    }
}

/// What there is to draw, read and checked.
enum Picture<'a> {
    History { curves: Vec<Curve<'a>>, scene: Scene },
    Confusion { run: &'a Run, matrix: nn_train::metrics::ConfusionMatrix },
    Digits { title: String, images: Vec<(Vec<u8>, Vec<String>)>, shape: (usize, usize) },
    Weights(UnitPictures),
}

impl<'a> Picture<'a> {
    fn new(args: &PlotArgs, runs: &'a [Run], names: &'a [String]) -> Result<Self, Failure> {
        if args.what == What::History {
            let curves: Vec<_> = runs
                .iter()
                .zip(names)
                .map(|(run, name)| Curve { name, history: &run.figures.history })
                .collect();
            let scene = history(&curves).ok_or_else(|| {
                Failure::other("nothing to draw: no run has an accuracy or a loss in its history")
            })?;
            return Ok(Self::History { curves, scene });
        }
        // `check` saw to it that there is one.
        let run = runs.first().ok_or_else(|| Failure::usage("expected a run"))?;
        let count = |default: usize| args.count.map_or(default, usize::from);
        match args.what {
            What::Confusion => Ok(Self::Confusion { run, matrix: run.matrix()? }),
            What::Weights => weights(run, count(MOST_UNITS)).map(Self::Weights),
            What::Mistakes => Ok(Self::mistakes(&Answers::of(run)?, count(DIGITS))),
            _ => Ok(Self::digits(&Answers::of(run)?, count(DIGITS))),
        }
    }

    fn digits(answers: &Answers, count: usize) -> Self {
        let test = &answers.data.test;
        let classes = test.labels.classes().iter().zip(&answers.predicted);
        let images = test.images.iter().zip(classes).take(count).map(|(pixels, (&truth, &predicted))| {
            let said = usize::try_from(predicted).unwrap_or_default();
            let mark = if said == usize::from(truth) { "" } else { "wrong: " };
            let name = |class| class_name(&answers.data.classes, class);
            let lines =
                vec![format!("true {}", name(usize::from(truth))), format!("{mark}predicted {}", name(said))];
            (pixels.to_vec(), lines)
        });
        let (_, rows, columns) = test.images.shape();
        let images: Vec<_> = images.collect();
        Self::Digits {
            title: format!("The first {} test images", images.len()),
            images,
            shape: (rows, columns),
        }
    }

    fn mistakes(answers: &Answers, count: usize) -> Self {
        let test = &answers.data.test;
        let all = Mistake::all(test.labels.classes(), &answers.predicted, &answers.probabilities);
        let images: Vec<_> = all
            .iter()
            .take(count)
            .filter_map(|m| Some((test.images.get(m.index)?.to_vec(), m.caption(&answers.data.classes))))
            .collect();
        let title = match (images.len(), all.len()) {
            (0, _) => "No mistakes among the test images".to_owned(),
            (shown, all) if shown == all => format!("All {all} mistakes among the test images"),
            (shown, all) => format!("The {shown} worst of {all} mistakes among the test images"),
        };
        let (_, rows, columns) = test.images.shape();
        Self::Digits { title, images, shape: (rows, columns) }
    }

    fn scene(&self) -> Scene {
        match self {
            Self::History { scene, .. } => scene.clone(),
            Self::Confusion { run, matrix } => confusion(matrix, run.classes()).framed(MARGIN),
            Self::Digits { title, images, shape: (rows, columns) } => {
                let item = |(pixels, caption): &(Vec<u8>, Vec<String>)| Item {
                    bitmap: Bitmap::grey(*columns, *rows, pixels),
                    caption: caption.clone(),
                };
                gallery(title, "", &images.iter().map(item).collect::<Vec<_>>(), DIGIT_SIDE)
            }
            Self::Weights(units) => gallery("First layer's weights", &units.note(), &units.items, UNIT_SIDE),
        }
    }

    fn characters(&self, theme: Theme, style: Style, depth: Depth) -> String {
        match self {
            Self::History { curves: runs, .. } => curves(runs, style, depth),
            Self::Confusion { run, matrix } => heat(matrix, run.classes(), theme, style, depth),
            Self::Digits { title, images, shape: (rows, columns) } => {
                let image =
                    |(pixels, caption): &'_ (Vec<u8>, Vec<String>)| (pixels.clone(), caption.join(", "));
                let images: Vec<(Vec<u8>, String)> = images.iter().map(image).collect();
                let grey: Vec<_> = images
                    .iter()
                    .map(|(pixels, c)| (Gray::new(pixels, *rows, *columns), c.clone()))
                    .collect();
                format!("{}\n{}", style.bold(title), grey_side_by_side(&grey, style))
            }
            Self::Weights(units) => {
                let images: Vec<_> = units.items.iter().map(|i| (&i.bitmap, i.caption.join(", "))).collect();
                let heading = style.bold("First layer's weights");
                let note = units.note().replace('±', style.or_ascii("±", "+-"));
                format!("{heading}\n{note}\n\n{}", side_by_side(&images, depth, style.width))
            }
        }
    }
}

fn class_name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn weights(run: &Run, count: usize) -> Result<UnitPictures, Failure> {
    let tensors = run.weights()?;
    let kernel = tensors.iter().find(|t| t.name == "dense/kernel").ok_or_else(|| {
        let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        run.wrong(format_args!("expected weights with a first layer \"dense/kernel\", found {names:?}"))
    })?;
    let shape = run.figures.data.as_ref().map(|data| (data.rows, data.columns));
    let shape = shape.ok_or_else(|| run.wrong("expected the images' rows and columns, \"data\""))?;
    UnitPictures::new(kernel, shape, count.min(MOST_UNITS)).map_err(|e| run.wrong(e))
}
