//! Aligned columns.

use crate::clean::printable;
use crate::paint::{Paint, Tone};

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Option<Tone>,
    is_number: bool,
}

impl Cell {
    /// Text or a number; numbers stand on the right.
    pub fn new(text: impl ToString) -> Cell {
        let text = printable(&text.to_string()).into_owned();
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Cell { text, tone: None, is_number }
    }

    /// In the colour of its meaning.
    pub fn tone(mut self, tone: Tone) -> Cell {
        self.tone = Some(tone);
        self
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::new(text)
    }
}

/// Rows under a heading, columns two spaces apart.
#[derive(Clone, Debug)]
pub struct Table {
    heading: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    pub fn new<S: Into<String>>(heading: impl IntoIterator<Item = S>) -> Table {
        let cell = |title: S| Cell { text: title.into(), tone: Some(Tone::Strong), is_number: false };
        Table { heading: heading.into_iter().map(cell).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) -> &mut Table {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, without a line end after the last one.
    pub fn render(&self, paint: Paint) -> String {
        let lines = || std::iter::once(&self.heading).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| lines().filter_map(|l| l.get(column)).map(Cell::width).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        // A heading stands over its numbers.
        let is_number = |column: usize| {
            let mut cells =
                self.rows.iter().filter_map(|row| row.get(column)).filter(|c| !c.text.is_empty()).peekable();
            cells.peek().is_some() && cells.all(|c| c.is_number)
        };
        let numbers: Vec<bool> = (0..columns).map(is_number).collect();
        let line = |cells: &Vec<Cell>| {
            let cells = cells.iter().enumerate().map(|(i, cell)| cell.padded(widths[i], numbers[i], paint));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Cell {
    fn width(&self) -> usize {
        console::measure_text_width(&self.text)
    }

    fn padded(&self, width: usize, right: bool, paint: Paint) -> String {
        let space = " ".repeat(width - self.width().min(width));
        let text = self.tone.map_or_else(|| self.text.clone(), |tone| paint.paint(tone, &self.text));
        if right { space + &text } else { text + &space }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned() {
        let mut table = Table::new(["SERVICE", "WANTED", "NOTE"]);
        table.row(["reemo_api", "12", "é ok"]).row(["db", "1", ""]);
        table.row([Cell::new("x").tone(Tone::Failed)]);
        assert_eq!(
            table.render(Paint(false)),
            "SERVICE    WANTED  NOTE\nreemo_api      12  é ok\ndb              1\nx"
        );
        assert!(table.render(Paint(true)).contains("\x1b[0;31mx\x1b[0m"));
        assert_eq!(Table::new(["A"]).render(Paint(false)), "A");
    }
}
