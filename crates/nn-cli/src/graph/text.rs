//! The picture as a list: groups as headings, each box with its inputs and the shapes of its outputs.

use super::picture::Picture;

/// One line for each box, below the heading of its group.
pub(super) fn text(picture: &Picture) -> String {
    let mut out = format!("{}\n{}\n", picture.title, picture.subtitle);
    let mut groups: Vec<Option<usize>> = Vec::new();
    for item in &picture.boxes {
        if !groups.contains(&item.group) {
            groups.push(item.group);
        }
    }
    for group in groups {
        let path: Vec<&str> =
            picture.path(group).into_iter().map(|g| picture.groups[g].title.as_str()).collect();
        out += &format!(
            "\n{}\n",
            if path.is_empty() { "outside of all groups".to_owned() } else { path.join("/") }
        );
        for (number, _) in picture.boxes.iter().enumerate().filter(|(_, b)| b.group == group) {
            out += &line(picture, number);
        }
    }
    out
}

fn line(picture: &Picture, number: usize) -> String {
    let item = &picture.boxes[number];
    let from: Vec<String> =
        picture.arrows.iter().filter(|a| a.to == number).map(|a| format!("#{}", a.from)).collect();
    let from = if from.is_empty() { String::new() } else { format!(" ({})", from.join(", ")) };
    let lines = if item.lines.is_empty() { String::new() } else { format!("  {}", item.lines.join(", ")) };
    let outputs =
        if item.outputs.is_empty() { String::new() } else { format!(" → {}", item.outputs.join(", ")) };
    format!("  #{number:<4}{}{from}{outputs}{lines}\n", item.title)
}
