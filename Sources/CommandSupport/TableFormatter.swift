/// Lays out rows as aligned columns, batch by batch, so that a list of any length needs bounded memory.
package struct TableFormatter: Sendable {
  /// A column of the table.
  package struct Column: Hashable, Sendable {
    /// Where the text of a cell stands.
    package enum Alignment: Hashable, Sendable {
      case left
      /// For numbers.
      case right
    }

    package let title: String
    package let alignment: Alignment

    /// Makes a column; an empty title in all columns leaves out the line of titles.
    package init(_ title: String, _ alignment: Alignment = .left) {
      self.title = title
      self.alignment = alignment
    }
  }

  private let columns: [Column]
  private var columnWidths: [Int]
  private var needsTitles: Bool

  /// Starts a table of these columns.
  package init(columns: [Column]) {
    self.columns = columns
    columnWidths = columns.map { column in DisplayWidth.columns(of: column.title) }
    needsTitles = columns.contains { column in !column.title.isEmpty }
  }

  /// The next rows as lines that each end in a newline, after the line of titles if they are the first.
  ///
  /// Columns become as wide as the widest cell so far and never narrower. Two spaces stand between them and none
  /// after the last.
  /// - Parameter rows: at most one cell a column, printable text; what is missing is empty.
  /// - Complexity: O(length of the cells)
  package mutating func lines(for rows: [[String]]) -> String {
    for row in rows {
      precondition(row.count <= columns.count, "\(row.count) cells in a table of \(columns.count) columns")
      for (index, cell) in row.enumerated() {
        columnWidths[index] = max(columnWidths[index], DisplayWidth.columns(of: cell))
      }
    }
    var text = ""
    if needsTitles {
      text += line(columns.map(\.title))
      needsTitles = false
    }
    for row in rows { text += line(row) }
    return text
  }

  private func line(_ cells: [String]) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      if index > 0 { line += "  " }
      line += DisplayWidth.padded(cell, to: columnWidths[index], atStart: columns[index].alignment == .right)
    }
    while line.last == " " { line.removeLast() }
    return line + "\n"
  }
}
