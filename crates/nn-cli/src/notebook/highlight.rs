//! Rust code as HTML with its comments, strings, numbers, keywords and types told apart.

use crate::draw::escaped;

/// The keywords that the parts use, and those that a part may come to use.
const KEYWORDS: [&str; 24] = [
    "as", "break", "const", "continue", "else", "enum", "fn", "for", "if", "impl", "in", "let", "loop",
    "match", "mod", "move", "mut", "pub", "ref", "return", "struct", "use", "where", "while",
];

/// The code, escaped, in spans of the classes `c` (comment), `s` (string), `n` (number), `k` (keyword) and `t` (type).
pub(super) fn html(code: &str) -> String {
    let mut out = String::with_capacity(2 * code.len());
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (class, len) = token(rest, first);
        let (text, after) = rest.split_at(len);
        match class {
            Some(class) => out += &format!("<span class=\"{class}\">{}</span>", escaped(text)),
            None => out += &escaped(text),
        }
        rest = after;
    }
    out
}

/// The class of the token that `text` begins with, and its length in bytes.
fn token(text: &str, first: char) -> (Option<&'static str>, usize) {
    if text.starts_with("//") {
        return (Some("c"), text.find('\n').unwrap_or(text.len()));
    }
    if first == '"' {
        return (Some("s"), string(text));
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let len = text.find(|c| !word(c)).unwrap_or(text.len());
    if first.is_ascii_digit() {
        let dot = text[len..].strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let fraction = dot.map_or(0, |rest| 1 + rest.find(|c| !word(c)).unwrap_or(rest.len()));
        return (Some("n"), len + fraction);
    }
    if len == 0 {
        return (None, first.len_utf8());
    }
    let class = if KEYWORDS.contains(&&text[..len]) {
        Some("k")
    } else if first.is_uppercase() {
        Some("t")
    } else {
        None
    };
    (class, len)
}

/// The length of the string literal that `text` begins with, its quotes included.
fn string(text: &str) -> usize {
    let mut escape = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escape => return i + 1,
            '\\' => escape = !escape,
            _ => escape = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn what_is_marked_is_escaped_and_nothing_is_lost() {
        assert_eq!(
            html("let x = Vec::<f32>::new(); // a < b"),
            "<span class=\"k\">let</span> x = <span class=\"t\">Vec</span>::&lt;f32&gt;::new(); \
             <span class=\"c\">// a &lt; b</span>"
        );
        assert_eq!(
            html(r#"say("a \" let 1") + 0.5"#),
            "say(<span class=\"s\">&quot;a \\&quot; let 1&quot;</span>) + <span class=\"n\">0.5</span>"
        );
        let plain = html("1..=n").replace("<span class=\"n\">", "").replace("</span>", "");
        assert_eq!(plain, "1..=n");
    }
}
