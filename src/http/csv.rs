//! Tables as files that spreadsheets open ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).

/// What makes a spreadsheet take a text for a formula: names of apps and addresses of programs come from anybody.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A table that grows line by line.
#[derive(Debug)]
pub(super) struct Csv(String);

impl Csv {
    /// A table with these columns. Begins with the mark by which spreadsheets know UTF-8.
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut table = Self("\u{feff}".to_owned());
        table.line(columns.iter().copied());
        table
    }

    /// Adds a line. A text that a spreadsheet would run gets an apostrophe in front, which spreadsheets do not show.
    pub(super) fn line<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) {
        for (number, cell) in cells.into_iter().enumerate() {
            if number > 0 {
                self.0.push(',');
            }
            let guard = if cell.starts_with(FORMULA) { "'" } else { "" };
            if cell.contains(['"', ',', '\r', '\n']) {
                self.0.push_str(&format!("\"{guard}{}\"", cell.replace('"', "\"\"")));
            } else {
                self.0.push_str(guard);
                self.0.push_str(cell);
            }
        }
        self.0.push_str("\r\n");
    }

    /// The file.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut table = Csv::new(&[]);
        table.line(cells.iter().copied());
        table.into_string().trim_start_matches('\u{feff}').trim_start_matches("\r\n").to_owned()
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_made_inert() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            assert_eq!(line(&[cell]), format!("'{cell}\r\n"), "{cell:?}");
        }
        assert_eq!(line(&["=HYPERLINK(\"http://x\",\"y\")"]), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"\r\n");
        assert_eq!(line(&["\r=1"]), "\"'\r=1\"\r\n");
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        assert_eq!(
            line(&["a,b", "say \"hi\"", "two\nlines", "", "plain"]),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",,plain\r\n"
        );
        assert!(Csv::new(&["at", "what"]).into_string().ends_with("at,what\r\n"));
    }
}
