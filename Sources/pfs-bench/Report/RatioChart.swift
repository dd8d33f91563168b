/// Ratios with their spread and targets, one below the other, as SVG: twice as much is as far from one as half as much.
struct RatioChart: Sendable {
  struct Bar: Sendable {
    let title: String
    let beside: String
    let ratio: MeasuredSpread
    let target: Double?
    /// Nil without a target.
    let isMet: Bool?
  }

  private static let (width, rowHeight, top, margin) = (480.0, 44.0, 8.0, 20.0)
  private static let axisHeight = 24.0

  let bars: [Bar]

  var svg: String {
    let height = RatioChart.top + Double(bars.count) * RatioChart.rowHeight + RatioChart.axisHeight
    let values = bars.flatMap { bar in [bar.ratio.minimum, bar.ratio.maximum] + (bar.target.map { [$0] } ?? []) }
    let (least, most) = (min(0.5, values.min() ?? 0.5), max(2, values.max() ?? 2))
    let place = { (ratio: Double) in
      let (low, high) = (svgDoublings(least), svgDoublings(most))
      let share = (svgDoublings(ratio) - low) / (high - low)
      return RatioChart.margin + share * (RatioChart.width - 2 * RatioChart.margin)
    }
    var text = "<svg viewBox=\"0 0 \(Int(RatioChart.width)) \(Int(height))\" role=\"img\">"
    var step = 1.0 / 1024
    while step <= most {
      if step >= least {
        let x = svgNumber(place(step))
        text +=
          "<line class=\"axis\" x1=\"\(x)\" x2=\"\(x)\" y1=\"0\" y2=\"\(svgNumber(height - RatioChart.axisHeight))\"/>"
        text += svgText(RatioChart.text(step), x: place(step), y: height - 8, "middle", "faint")
      }
      step *= 2
    }
    for (number, bar) in bars.enumerated() {
      text += draw(bar, y: RatioChart.top + Double(number) * RatioChart.rowHeight, place)
    }
    return text + "</svg>"
  }

  private func draw(_ bar: Bar, y: Double, _ place: (Double) -> Double) -> String {
    let kind = bar.isMet.map { $0 ? "met" : "missed" } ?? "plain"
    let (start, end) = (min(place(1), place(bar.ratio.median)), max(place(1), place(bar.ratio.median)))
    let verdict = bar.isMet.map { $0 ? ", met" : ", missed" } ?? ""
    var text = svgText(
      "\(bar.title) beside \(bar.beside): \(RatioChart.text(bar.ratio.median))\(verdict)", x: RatioChart.margin,
      y: y + 12,
      "start", "")
    text +=
      "<rect class=\"\(kind)\" x=\"\(svgNumber(start))\" width=\"\(svgNumber(max(1, end - start)))\""
      + " y=\"\(svgNumber(y + 19))\" height=\"12\" fill-opacity=\"0.5\" stroke=\"none\"/>"
    text +=
      "<line class=\"\(kind)\" x1=\"\(svgNumber(place(bar.ratio.minimum)))\" x2=\"\(svgNumber(place(bar.ratio.maximum)))\""
      + " y1=\"\(svgNumber(y + 25))\" y2=\"\(svgNumber(y + 25))\"/>"
    if let target = bar.target {
      let x = svgNumber(place(target))
      text += "<line class=\"\(kind)\" stroke-width=\"2\" x1=\"\(x)\" x2=\"\(x)\" y1=\"\(svgNumber(y + 16))\""
      text += " y2=\"\(svgNumber(y + 34))\"/>"
    }
    return text
  }

  private static func text(_ ratio: Double) -> String {
    FixedPoint.text(ratio, decimals: ratio < 0.1 ? 3 : ratio < 10 ? 2 : 0)
  }
}
