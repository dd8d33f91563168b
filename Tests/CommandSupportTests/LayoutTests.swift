import Testing

@testable import CommandSupport

@Suite("DisplayWidth") struct DisplayWidthTests {
  @Test(
    "counts columns",
    arguments: [
      ("", 0), ("abc", 3), ("größe", 5), ("e\u{301}", 1), ("名前", 4), ("ｆ", 2), ("🗂a", 3), ("🚀", 2), ("한글", 4), ("…", 1),
    ])
  func columns(text: String, expected: Int) {
    #expect(DisplayWidth.columns(of: text) == expected)
  }

  @Test(
    "keeps the end of long text",
    arguments: [
      ("abcdef", 6, "abcdef"), ("abcdef", 5, "...ef"), ("abcdef", 4, "...f"), ("abcdef", 3, "def"), ("abcdef", 1, "f"),
      ("abcdef", 0, ""), ("abcdef", -1, ""), ("名前名前", 6, "...前"), ("名前名前", 5, "...前"), ("名前名前", 4, "..."), ("", 0, ""),
    ])
  func tail(text: String, columnLimit: Int, expected: String) {
    #expect(DisplayWidth.tail(of: text, columnLimit: columnLimit) == expected)
  }
}

@Suite("ProgressLine") struct ProgressLineTests {
  private func line(
    _ done: UInt64, of total: UInt64?, seconds: Double, columns: Int, name: String = "big.iso"
  ) -> String {
    ProgressLine(name: Array(name.utf8), doneByteCount: done, totalByteCount: total, elapsedSeconds: seconds)
      .text(columnLimit: columns)
  }

  @Test("shows everything in a wide line") func wide() {
    let bar = "[" + String(repeating: "#", count: 18) + String(repeating: "-", count: 18) + "]"
    let text = line(512 << 20, of: 1 << 30, seconds: 2, columns: 80)
    #expect(text == "big.iso  50% \(bar) 512 MiB/1 GiB 256 MiB/s 0:02")
    #expect(text.count == 80)
  }

  @Test(
    "leaves out what does not fit, the bar first and the percentage last",
    arguments: [
      (47, "big.iso  50% 512 MiB/1 GiB 256 MiB/s 0:02"), (41, "big.iso  50% 512 MiB/1 GiB 256 MiB/s 0:02"),
      (40, " 50% 512 MiB/1 GiB 256 MiB/s 0:02"), (33, " 50% 512 MiB/1 GiB 256 MiB/s 0:02"),
      (32, "big.iso  50% 256 MiB/s 0:02"), (20, " 50% 256 MiB/s 0:02"), (19, " 50% 256 MiB/s 0:02"),
      (18, "big.iso  50% 0:02"), (16, " 50% 0:02"), (9, " 50% 0:02"), (8, " 50%"), (4, " 50%"), (3, ""), (0, ""),
      (-5, ""),
    ])
  func narrow(columns: Int, expected: String) {
    #expect(line(512 << 20, of: 1 << 30, seconds: 2, columns: columns) == expected)
  }

  @Test("shows bytes, rate and time since the start where the total is not known") func unknownTotal() {
    #expect(line(3 << 20, of: nil, seconds: 2, columns: 80, name: "-") == "- 3 MiB 1.5 MiB/s 0:02")
    #expect(line(3 << 20, of: nil, seconds: 2, columns: 14, name: "-") == "1.5 MiB/s 0:02")
  }

  @Test("is never more than done, and 100% only at the end") func ends() {
    #expect(line(0, of: 0, seconds: 0, columns: 30, name: "") == "100% [##########] 0 B/0 B 0:00")
    #expect(line(5, of: 3, seconds: 1, columns: 9) == "100% 0:00")
    #expect(line(999_999, of: 1_000_000, seconds: 1, columns: 9) == " 99% 0:01")
    #expect(line(.max - 1, of: .max, seconds: 1, columns: 4) == " 99%")
    #expect(line(.max, of: .max, seconds: 1, columns: 4) == "100%")
    #expect(line(0, of: 10, seconds: 5, columns: 20) == "  0% 0 B/s --:--")
  }

  @Test("survives clocks that say nothing", arguments: [0, -1, .nan, .infinity, 1e-300, .greatestFiniteMagnitude])
  func strangeSeconds(seconds: Double) {
    for total in [nil, 0, 10, .max] as [UInt64?] {
      #expect(DisplayWidth.columns(of: line(7, of: total, seconds: seconds, columns: 60)) <= 60)
    }
    #expect(line(7, of: 10, seconds: 0, columns: 20) == " 70% 7 B/10 B --:--")
  }

  @Test("escapes the name and cuts its beginning, to leave room for a bar") func names() {
    #expect(line(1, of: nil, seconds: 1, columns: 40, name: "a\u{1B}[2J\nb") == "a\\x1B[2J\\nb 1 B 1 B/s 0:01")
    let long = line(1, of: 2, seconds: 1, columns: 60, name: String(repeating: "x", count: 200) + ".iso")
    #expect(long.hasPrefix("..."))
    #expect(long.contains(".iso  50% [#####-----] 1 B/2 B 1 B/s 0:01"))
    #expect(long.count == 60)
  }

  @Test("never exceeds its width, whatever the numbers and names") func random() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    let names = ["", "a", "big.iso", "名前名前名前名前.tar", "e\u{301}", String(repeating: "ö", count: 300)]
    for _ in 0..<5000 {
      let done = UInt64.random(in: 0...UInt64.max, using: &random) >> UInt64.random(in: 0...63, using: &random)
      let total = UInt64.random(in: 0...UInt64.max, using: &random) >> UInt64.random(in: 0...63, using: &random)
      let columns = Int.random(in: 0...120, using: &random)
      let text = line(
        done, of: Bool.random(using: &random) ? total : nil, seconds: Double.random(in: 0...1e6, using: &random),
        columns: columns, name: names.randomElement(using: &random) ?? "")
      #expect(DisplayWidth.columns(of: text) <= columns, "seed \(seed): '\(text)' in \(columns)")
      #expect(columns < 20 || !text.isEmpty, "seed \(seed): nothing in \(columns)")
    }
  }
}

@Suite("TableFormatter") struct TableFormatterTests {
  private let columns = [
    TableFormatter.Column("ID", .right), TableFormatter.Column("STATUS"), TableFormatter.Column("SIZE", .right),
    TableFormatter.Column("NAME"),
  ]

  @Test("aligns numbers right and text left, without blanks at the ends of lines") func alignment() {
    var table = TableFormatter(columns: columns)
    let text = table.lines(for: [["1", "ready", "64 MiB", "名前"], ["123", "deleting", "1 B", "a"], ["4"], []])
    #expect(
      text == """
         ID  STATUS      SIZE  NAME
          1  ready     64 MiB  名前
        123  deleting     1 B  a
          4


        """)
  }

  @Test("writes titles once and keeps the widths of earlier batches") func batches() {
    var table = TableFormatter(columns: columns)
    #expect(table.lines(for: []) == "ID  STATUS  SIZE  NAME\n")
    #expect(table.lines(for: [["1000", "ready", "1", "x"]]) == "1000  ready      1  x\n")
    #expect(table.lines(for: [["1", "ready", "1", "x"]]) == "   1  ready      1  x\n")
  }

  @Test("needs no titles") func untitled() {
    var table = TableFormatter(columns: [TableFormatter.Column("", .right), TableFormatter.Column("")])
    #expect(table.lines(for: []) == "")
    #expect(table.lines(for: [["1", "a"], ["10", "b"]]) == " 1  a\n10  b\n")
  }
}

@Suite("CommandHelp examples") struct CommandHelpExampleTests {
  @Test("keep each line to type whole, in a column of its own, after everything else")
  func examples() {
    let help = CommandHelp(
      usages: ["pfs"], summary: "Store files.", commands: [.init("put", "store files")], notes: ["A note."],
      examples: [.init("pfs put a", "one"), .init("pfs put -r tree", "many")])
    #expect(
      help.text() == """
        Usage: pfs

        Store files.

        Commands:
          put  store files

        A note.

        Examples:
          pfs put a        one
          pfs put -r tree  many

        """)
  }
}
