import CommandSupport

/// Figures with their circumstances, for people and for programs. Speeds are in units of 1,000,000,000 bytes, files or
/// parts a second, times in milliseconds, memory in MiB.
struct FigureReport: BenchReport {
  let benchmark: String
  /// What was stored, for people and for programs.
  let input: String
  let inputJSON: JSONValue
  let figures: FigureSet
  let circumstances: Circumstances

  var text: String {
    circumstances.text(input: input) + "\n" + table + "\n" + verdicts
      + Circumstances.quietness(othersShare: othersShare)
  }

  var json: JSONValue {
    .object(
      circumstances.json(benchmark: benchmark) + [
        JSONValue.Member("input", inputJSON), JSONValue.Member("others_share", .double(othersShare)),
        JSONValue.Member("figures", .array(figures.all.map(json))),
      ])
  }

  private var othersShare: Double { figures.othersShare(processorCount: circumstances.machine.processorCount) }

  private var table: String {
    var formatter = TableFormatter(columns: [
      TableFormatter.Column("figure"), TableFormatter.Column("", .left), TableFormatter.Column("pfs", .right),
      TableFormatter.Column("beside", .right), TableFormatter.Column("beside = 1", .right),
      TableFormatter.Column("beside it"),
    ])
    return formatter.lines(
      for: figures.all.filter { figure in figure.value != nil }.map { figure in
        let decimals = figure.unit.decimals
        return [
          figure.title, figure.unit.rawValue, figure.value?.text(decimals: decimals) ?? "-",
          figure.peer?.text(decimals: decimals) ?? "-", figure.ratio?.text(decimals: 3) ?? "-",
          figure.peerTitle ?? "-",
        ]
      })
  }

  private var verdicts: String {
    var text = ""
    for figure in figures.all {
      if let reason = figure.skipReason { text += "skipped  \(figure.title): \(reason)\n" }
      guard let target = figure.target, let judged = figure.judged, let isMet = figure.isTargetMet else { continue }
      let show = { (number: Double) in
        switch (target.subject, number < 2) {
        case (.value, _): "\(FixedPoint.text(number, decimals: figure.unit.decimals)) \(figure.unit.rawValue)"
        case (.ratio, true): FixedPoint.percent(number)
        case (.ratio, false): "\(FixedPoint.text(number, decimals: 1)) times"
        }
      }
      let beside = target.subject == .ratio ? " against \(figure.peerTitle ?? "-")" : ""
      text +=
        "\(isMet ? "met     " : "missed  ") \(figure.title)\(beside): \(show(judged)) "
        + "(at \(target.isLeast ? "least" : "most") \(show(target.bound)))\n"
    }
    return text
  }

  private func json(_ figure: Figure) -> JSONValue {
    [
      "name": .string(figure.name), "title": .string(figure.title), "unit": .string(figure.unit.rawValue),
      "beside": figure.peerTitle.map { .string($0) } ?? .null,
      "skipped": figure.skipReason.map { .string($0) } ?? .null,
      "value": figure.value?.json ?? .null, "beside_value": figure.peer?.json ?? .null,
      "ratio": figure.ratio?.json ?? .null,
      "target": figure.target.map { target in
        [
          "of": .string(target.subject.rawValue), "bound": .double(target.bound),
          "at": .string(target.isLeast ? "least" : "most"), "met": figure.isTargetMet.map { .bool($0) } ?? .null,
        ]
      } ?? .null,
      "runs": .array(
        figure.samples.map { sample in
          [
            "run": .integer(Int64(sample.runNumber)), "value": .double(sample.value),
            "beside": sample.peer.map { .double($0) } ?? .null, "beside_was_first": .bool(sample.peerWasFirst),
            "ratio": sample.ratio.map { .double($0) } ?? .null,
          ]
        }),
    ]
  }
}
