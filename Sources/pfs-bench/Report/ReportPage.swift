import CommandSupport

/// Results as one page of HTML: pictures as inline SVG, light or dark as the reader has it, on a phone too.
struct ReportPage: Sendable {
  private let results: [MeasuredResult]

  init(_ results: [MeasuredResult]) { self.results = results }

  var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>pfs, measured</title>
    <style>
    \(ReportPage.style)
    </style>
    </head>
    <body>
    <h1>pfs, measured</h1>
    <p>Medians of several runs; what stands beside pfs was measured in turn with it. Compare ratios within one result: speeds of
    two results say little about each other. The thin lines reach from the least to the most.</p>
    \(results.map(section).joined(separator: "\n"))
    </body>
    </html>

    """
  }

  private static let style = """
    :root { color-scheme: light dark; --text: #1c1e21; --faint: #6a7078; --ground: #fff; --line: #d5d9de; --put: #1f6fb2;
      --get: #b3541e; --met: #2a7d46; --missed: #b3261e; }
    @media (prefers-color-scheme: dark) {
      :root { --text: #e6e8eb; --faint: #9aa2ab; --ground: #14171a; --line: #363c43; --put: #6db1ee; --get: #f0955d;
        --met: #6cc58a; --missed: #f2857d; }
    }
    body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground); max-width: 60rem;
      margin: 0 auto; padding: 1rem; }
    h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } p { max-width: 45rem; }
    .faint { color: var(--faint); font-size: 0.85rem; }
    figure { margin: 1rem 0; } figcaption { color: var(--faint); font-size: 0.85rem; }
    svg { width: 100%; max-width: 44rem; height: auto; display: block; } svg text { fill: var(--text); font: 12px system-ui, sans-serif; }
    svg .faint { fill: var(--faint); font-size: 11px; } svg .axis { stroke: var(--line); } svg .put { stroke: var(--put); fill: var(--put); }
    svg .get { stroke: var(--get); fill: var(--get); } svg .met { stroke: var(--met); fill: var(--met); }
    svg .missed { stroke: var(--missed); fill: var(--missed); } svg .plain { stroke: var(--put); fill: var(--put); }
    svg polyline { fill: none !important; stroke-width: 2; } svg .dashed { stroke-dasharray: 5 4; }
    .wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem; }
    th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid var(--line); }
    td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
    """

  private func section(_ result: MeasuredResult) -> String {
    let content = result.benchmark == "sweep" ? sweep(result) : figures(result)
    return """
      <section>
      <h2>\(ReportPage.escaped(ReportPage.title(of: result.benchmark)))</h2>
      <p class="faint">\(ReportPage.escaped(result.circumstances))</p>
      \(content)
      </section>
      """
  }

  private static func title(of benchmark: String) -> String {
    switch benchmark {
    case "sweep": "Throughput against the memory limit"
    case "limit": "Beside the bare work"
    case "peers": "Beside other programs"
    case "small": "Small files"
    case "churn": "Deletes, space and compaction"
    case "index": "Large stores"
    default: benchmark
    }
  }

  // MARK: A sweep

  private func sweep(_ result: MeasuredResult) -> String {
    let limits = (result.json["summary"] ?? .null).elements
    let lines = ["put", "get"].map { step in
      LineChart.Line(
        name: step, kind: step,
        points: limits.compactMap { limit in
          guard let byteCount = limit["limit_bytes"]?.number, let label = limit["limit"]?.text,
            let speed = MeasuredSpread(limit["\(step)_mb_per_second"])
          else { return nil }
          return LineChart.Point(x: byteCount, label: label, y: speed)
        },
        level: MeasuredSpread(result.json["bare_summary"]?["\(step)_mb_per_second"])?.median)
    }
    let rows = limits.map { limit in
      [limit["limit"]?.text ?? "-"]
        + ["put", "get"].flatMap { step in
          [
            ReportPage.text(MeasuredSpread(limit["\(step)_mb_per_second"]), decimals: 0),
            ReportPage.text(MeasuredSpread(limit["\(step)_of_bare"]), decimals: 2),
          ]
        } + [limit["peak_anonymous"]?.number.map { FixedPoint.text($0 / 1_048_576, decimals: 1) } ?? "-"]
    }
    return """
      <figure>
      \(LineChart(lines: lines, unit: "MB/s").svg)
      <figcaption>MB (1,000,000 bytes) a second; dashed: the bare work of zlib, which knows no limit.</figcaption>
      </figure>
      \(ReportPage.table(["limit", "put, MB/s", "of bare", "get, MB/s", "of bare", "peak RssAnon, MiB"], rows, textColumnCount: 1))
      """
  }

  // MARK: Figures

  private func figures(_ result: MeasuredResult) -> String {
    let figures = (result.json["figures"] ?? .null).elements
    let bars = figures.compactMap { figure -> RatioChart.Bar? in
      guard let ratio = MeasuredSpread(figure["ratio"]), ratio.minimum > 0, let title = figure["title"]?.text else {
        return nil
      }
      let target = figure["target"]?["of"]?.text == "ratio" ? figure["target"]?["bound"]?.number : nil
      return RatioChart.Bar(
        title: title, beside: figure["beside"]?.text ?? "", ratio: ratio, target: target,
        isMet: target == nil ? nil : figure["target"]?["met"] == .bool(true))
    }
    let rows = figures.map { figure in
      let decimals = figure["unit"]?.text == "files/s" ? 0 : 2
      let verdict: String
      if let reason = figure["skipped"]?.text {
        verdict = "skipped: \(reason)"
      } else {
        verdict = figure["target"]?["met"].map { $0 == .bool(true) ? "met" : $0 == .null ? "" : "missed" } ?? ""
      }
      return [
        figure["title"]?.text ?? "-", figure["beside"]?.text ?? "", verdict, figure["unit"]?.text ?? "",
        ReportPage.text(MeasuredSpread(figure["value"]), decimals: decimals),
        ReportPage.text(MeasuredSpread(figure["beside_value"]), decimals: decimals),
        ReportPage.text(MeasuredSpread(figure["ratio"]), decimals: 2),
      ]
    }
    let chart =
      bars.isEmpty
      ? ""
      : """
      <figure>
      \(RatioChart(bars: bars).svg)
      <figcaption>pfs by what stands beside it; the tick is the target, which is a least or a most.</figcaption>
      </figure>
      """
    return chart
      + ReportPage.table(
        ["figure", "beside it", "target", "", "pfs", "beside", "ratio"], rows, textColumnCount: 4)
  }

  // MARK: Text

  private static func text(_ spread: MeasuredSpread?, decimals: Int) -> String {
    guard let spread else { return "-" }
    let text = { (number: Double) in FixedPoint.text(number, decimals: decimals) }
    return "\(text(spread.median)) [\(text(spread.minimum))..\(text(spread.maximum))]"
  }

  private static func table(_ titles: [String], _ rows: [[String]], textColumnCount: Int) -> String {
    let cells = { (row: [String], tag: String) in
      row.enumerated().map { number, text in
        "<\(tag)\(number < textColumnCount ? "" : " class=\"number\"")>\(escaped(text))</\(tag)>"
      }.joined()
    }
    let lines = rows.map { "<tr>\(cells($0, "td"))</tr>" }.joined(separator: "\n")
    return "<div class=\"wide\"><table>\n<tr>\(cells(titles, "th"))</tr>\n\(lines)\n</table></div>"
  }

  static func escaped(_ text: String) -> String {
    text.reduce(into: "") { escaped, character in
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.append(character)
      }
    }
  }
}
