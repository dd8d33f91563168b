/// Lines over sizes that double, with their spread, as SVG.
struct LineChart: Sendable {
  struct Point: Sendable {
    let x: Double
    let label: String
    let y: MeasuredSpread
  }

  struct Line: Sendable {
    let name: String
    /// The class that gives it its colour.
    let kind: String
    let points: [Point]
    /// What is drawn across, dashed.
    let level: Double?
  }

  private static let (width, height) = (480.0, 280.0)
  private static let (left, right, top, bottom) = (48.0, 40.0, 28.0, 32.0)
  private static let gridLineCount = 4

  let lines: [Line]
  let unit: String

  var svg: String {
    let points = lines.flatMap(\.points)
    let highest = (points.map(\.y.maximum) + lines.compactMap(\.level)).max() ?? 1
    let scale = Scale(points.map(\.x), highest: highest)
    var text = "<svg viewBox=\"0 0 \(Int(LineChart.width)) \(Int(LineChart.height))\" role=\"img\">"
    for number in 0...LineChart.gridLineCount {
      let value = scale.highest * Double(number) / Double(LineChart.gridLineCount)
      let y = svgNumber(scale.y(value))
      text +=
        "<line class=\"axis\" x1=\"\(svgNumber(LineChart.left))\" x2=\"\(svgNumber(LineChart.width - LineChart.right))\""
        + " y1=\"\(y)\" y2=\"\(y)\"/>"
        + svgText(FixedPoint.text(value, decimals: 0), x: LineChart.left - 6, y: scale.y(value) + 4, "end", "faint")
    }
    text += svgText(unit, x: LineChart.left - 6, y: 14, "end", "faint")
    for point in lines.first?.points ?? [] {
      text += svgText(point.label, x: scale.x(point.x), y: LineChart.height - 12, "middle", "faint")
    }
    for line in lines { text += draw(line, scale) }
    return text + "</svg>"
  }

  private func draw(_ line: Line, _ scale: Scale) -> String {
    var text = ""
    if let level = line.level {
      text +=
        "<line class=\"\(line.kind) dashed\" x1=\"\(svgNumber(LineChart.left))\""
        + " x2=\"\(svgNumber(LineChart.width - LineChart.right))\" y1=\"\(svgNumber(scale.y(level)))\""
        + " y2=\"\(svgNumber(scale.y(level)))\"/>"
    }
    let places = line.points.map { "\(svgNumber(scale.x($0.x))),\(svgNumber(scale.y($0.y.median)))" }
    text += "<polyline class=\"\(line.kind)\" points=\"\(places.joined(separator: " "))\"/>"
    for point in line.points {
      let x = svgNumber(scale.x(point.x))
      text +=
        "<line class=\"\(line.kind)\" x1=\"\(x)\" x2=\"\(x)\" y1=\"\(svgNumber(scale.y(point.y.minimum)))\""
        + " y2=\"\(svgNumber(scale.y(point.y.maximum)))\"/>"
        + "<circle class=\"\(line.kind)\" cx=\"\(x)\" cy=\"\(svgNumber(scale.y(point.y.median)))\" r=\"3\"/>"
    }
    if let last = line.points.last {
      text += svgText(line.name, x: scale.x(last.x) + 8, y: scale.y(last.y.median) + 4, "start", "")
    }
    return text
  }

  /// From what is measured to places in the picture.
  private struct Scale {
    let highest: Double
    private let (first, last): (Double, Double)

    init(_ sizes: [Double], highest: Double) {
      // To two digits, upwards.
      var step = 1.0
      while step * 10 <= highest { step *= 10 }
      self.highest = max(1, (highest / step * 5).rounded(.up) / 5 * step)
      (first, last) = (svgDoublings(sizes.min() ?? 1), svgDoublings(sizes.max() ?? 1))
    }

    func x(_ size: Double) -> Double {
      let share = last > first ? (svgDoublings(size) - first) / (last - first) : 0.5
      let inner = LineChart.width - LineChart.left - LineChart.right - 32
      return LineChart.left + 16 + share * inner
    }

    func y(_ value: Double) -> Double {
      LineChart.height - LineChart.bottom - value / highest * (LineChart.height - LineChart.top - LineChart.bottom)
    }
  }
}

func svgNumber(_ number: Double) -> String { FixedPoint.text(number, decimals: 1) }

func svgText(_ text: String, x: Double, y: Double, _ anchor: String, _ kind: String) -> String {
  "<text class=\"\(kind)\" text-anchor=\"\(anchor)\" x=\"\(svgNumber(x))\" y=\"\(svgNumber(y))\">"
    + "\(ReportPage.escaped(text))</text>"
}

/// The logarithm to the base of two at powers of two; between two of them places are shared out evenly.
func svgDoublings(_ number: Double) -> Double {
  guard number > 0, number.isFinite else { return 0 }
  return Double(number.exponent) + number.significand - 1
}
