//! The picture as a page of its own: one file that needs no network, to move about in with mouse, fingers or keys.

use super::picture::Picture;
use super::svg::svg;
use crate::draw::escaped;

/// The page. Without JavaScript the picture is there as well, to scroll.
pub(super) fn html(picture: Picture) -> String {
    let (title, subtitle) = (escaped(&picture.title), escaped(&picture.subtitle));
    let legend: String = picture
        .kinds()
        .map(|kind| {
            format!(
                "<li><svg class=\"nn-graph\" viewBox=\"0 0 14 14\" aria-hidden=\"true\"><rect class=\"box {}\" x=\"0.5\" y=\"0.5\" width=\"13\" height=\"13\" rx=\"3\"/></svg>{}</li>",
                kind.class(),
                kind.meaning()
            )
        })
        .collect();
    let (css, js) = (include_str!("page.css").trim(), include_str!("page.js").trim());
    let picture = svg(picture, false);
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
<div class="bar">
<ul class="legend">{legend}</ul>
<div class="zoom" hidden="hidden"><button data-zoom="out" aria-label="smaller">−</button><button data-zoom="in" aria-label="larger">+</button><button data-zoom="fit">all</button><button data-zoom="one">1:1</button></div>
</div>
</header>
<main>
{picture}</main>
<script>
//<![CDATA[
{js}
//]]>
</script>
</body>
</html>
"#
    )
}
