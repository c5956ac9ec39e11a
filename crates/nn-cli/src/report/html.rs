//! HTML text in the making: elements that are always closed, text that is always escaped.

use std::fmt::Write as _;

use crate::draw::escaped;

/// A page so far.
#[derive(Debug, Default)]
pub(crate) struct Html {
    text: String,
}

impl Html {
    /// Adds markup as it is.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.text += markup;
    }

    /// Adds an element with a text in it. `attributes` are markup, each after a space.
    pub(crate) fn element(&mut self, name: &str, attributes: &str, text: &str) {
        let _ = writeln!(self.text, "<{name}{attributes}>{}</{name}>", escaped(text));
    }

    /// Adds an element with other elements in it.
    pub(crate) fn inside(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.text, "<{name}{attributes}>");
        content(self);
        let _ = writeln!(self.text, "</{name}>");
    }

    /// Adds a section with its heading.
    pub(crate) fn section(&mut self, id: &str, heading: &str, content: impl FnOnce(&mut Self)) {
        self.inside("section", &format!(" aria-labelledby=\"{id}\""), |page| {
            page.element("h2", &format!(" id=\"{id}\""), heading);
            content(page);
        });
    }

    /// Adds a part that scrolls by itself where it is wider than the page, by keys too.
    pub(crate) fn scrolling(&mut self, label: &str, content: impl FnOnce(&mut Self)) {
        let attributes =
            format!(" class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\"", escaped(label));
        self.inside("div", &attributes, content);
    }

    /// Adds names and values.
    pub(crate) fn facts(&mut self, facts: &[(String, String)]) {
        self.inside("dl", "", |page| {
            for (name, value) in facts {
                page.inside("div", "", |page| {
                    page.element("dt", "", name);
                    page.element("dd", "", value);
                });
            }
        });
    }

    /// Adds a table: the columns' names, then rows whose first cell names the row.
    pub(crate) fn table(&mut self, caption: &str, columns: &[&str], rows: &[Vec<String>]) {
        self.scrolling(caption, |page| {
            page.inside("table", "", |page| {
                page.element("caption", "", caption);
                page.inside("thead", "", |page| {
                    page.inside("tr", "", |page| {
                        columns.iter().for_each(|column| page.element("th", " scope=\"col\"", column));
                    });
                });
                page.inside("tbody", "", |page| {
                    for row in rows {
                        page.inside("tr", "", |page| {
                            for (i, cell) in row.iter().enumerate() {
                                let (name, scope) =
                                    if i == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                                page.element(name, scope, cell);
                            }
                        });
                    }
                });
            });
        });
    }

    /// The page.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}
