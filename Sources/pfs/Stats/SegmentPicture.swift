import CommandSupport
import SegmentStore

/// The segments of a store as a picture: SVG that needs nothing but itself, light or dark as its reader has it.
///
/// Few segments have a bar each, one below the other; many are tiles of a grid, row by row, and very many share tiles.
struct SegmentPicture {
  /// What a piece of a segment is, in the order of the legend.
  enum Content: CaseIterable {
    case live, dead, punched, free

    var name: String {
      switch self {
      case .live: "live"
      case .dead: "dead, on disk"
      case .punched: "given back"
      case .free: "free, reserved"
      }
    }

    /// The class of the style sheet.
    var style: String {
      switch self {
      case .live: "l"
      case .dead: "d"
      case .punched: "p"
      case .free: "f"
      }
    }

    func byteCount(of space: SegmentSpace) -> Int {
      switch self {
      case .live: space.liveByteCount + space.overheadByteCount
      case .dead: space.deadByteCount
      case .punched: space.punchedByteCount
      case .free: space.freeByteCount
      }
    }

    func byteCount(of step: SegmentMap.Step) -> Int {
      switch self {
      case .live: step.liveByteCount
      case .dead: step.deadByteCount
      case .punched: step.punchedByteCount
      case .free: step.freeByteCount
      }
    }
  }

  static let tileLimit = 4096
  static let stepLimit = 32_768

  let map: SegmentMap
  /// Of the store, printable.
  let path: String
  let layout: PictureLayout
  let total: SegmentSpace

  init(_ map: SegmentMap, path: String) {
    self.map = map
    self.path = path
    layout = PictureLayout(tileCount: map.tileCount)
    total = map.segments.dropFirst().reduce(into: map.segments.first) { $0?.add($1) } ?? SegmentSpace.none
  }

  /// The lines of the file.
  func forEachLine<E: Error>(_ body: (String) throws(E) -> Void) throws(E) {
    for line in opening + heading + legend { try body(line) }
    for tile in 0..<map.tileCount {
      for line in lines(ofTile: tile) { try body(line) }
    }
    try body("</svg>")
  }

  // MARK: Above the segments

  private var opening: [String] {
    let height = layout.height
    return [
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(PictureLayout.width) \(height)\" "
        + "width=\"\(PictureLayout.width)\" height=\"\(height)\" role=\"img\">",
      "<title>\(XMLText.escaped("segments of \(path)"))</title>",
      "<style>\(PictureLayout.styleSheet)</style>",
      "<defs><pattern id=\"h\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
        + "<rect class=\"b\" width=\"4\" height=\"4\"/><rect class=\"i\" width=\"1.2\" height=\"4\"/></pattern></defs>",
      "<rect class=\"b\" width=\"\(PictureLayout.width)\" height=\"\(height)\"/>",
    ]
  }

  private var heading: [String] {
    let shown = path.count <= 52 ? path : "\u{2026}\(path.suffix(51))"
    let count = map.segments.count
    let sizes =
      count == 0
      ? "no segments yet"
      : "\(count) \(count == 1 ? "segment" : "segments"), \(ByteSize.text(total.diskByteCount)) on disk, "
        + "\(ByteSize.text(total.liveByteCount)) live"
    return [
      text(shown, x: PictureLayout.margin, y: 26, style: "t"),
      text(sizes, x: PictureLayout.margin, y: 44, style: "s"),
    ]
  }

  private var legend: [String] {
    let whole = max(1, total.byteCount)
    var lines: [String] = []
    var x = PictureLayout.margin
    if total.byteCount > 0 {
      // All segments as one bar.
      lines.append("<g><title>\(XMLText.escaped(description("all segments", total)))</title>")
      for content in Content.allCases {
        let width = content.byteCount(of: total) * PictureLayout.innerWidth / whole
        lines.append("<rect class=\"\(content.style)\" x=\"\(x)\" y=\"54\" width=\"\(width)\" height=\"14\"/>")
        x += width
      }
      lines.append("</g>")
    }
    for (number, content) in Content.allCases.enumerated() {
      let x = PictureLayout.margin + number % 2 * (PictureLayout.innerWidth / 2)
      let y = 80 + number / 2 * 18
      let size = content.byteCount(of: total)
      lines.append("<rect class=\"\(content.style) o\" x=\"\(x)\" y=\"\(y)\" width=\"12\" height=\"12\"/>")
      lines.append(
        text("\(content.name) \(ByteSize.text(size)), \(share(size, of: whole))", x: x + 18, y: y + 10, style: "s"))
    }
    for (number, line) in caption.enumerated() {
      lines.append(text(line, x: PictureLayout.margin, y: 130 + number * 15, style: "c"))
    }
    return lines
  }

  private var caption: [String] {
    let size = ByteSize.text(map.segmentByteCount)
    if map.segments.isEmpty { return ["Segments of \(size) appear here when something is stored."] }
    let what =
      map.segmentsPerTile == 1
      ? "Each \(layout.columnCount == 1 ? "bar" : "tile") is a segment of \(size)"
      : "Each tile is \(map.segmentsPerTile) segments of \(size)"
    return ["\(what), in order of ids.", "What is left blank was never taken. Live counts headers and footers, too."]
  }

  // MARK: Segments

  private func lines(ofTile tile: Int) -> [String] {
    let segments = map.segments(ofTile: tile)
    guard let first = segments.first, let last = segments.last else { return [] }
    let sum = segments.dropFirst().reduce(into: first) { $0.add($1) }
    let name =
      segments.count == 1
      ? "segment \(first.id)\(first.isSealed ? "" : ", open")" : "segments \(first.id) to \(last.id)"
    let place = layout.place(ofTile: tile)
    var lines: [String] = []
    if let label = layout.label(ofTile: tile) {
      lines.append(text("\(first.id)", x: label.x, y: label.y, style: "n"))
    }
    let numbers = [
      ("live", sum.liveByteCount), ("dead", sum.deadByteCount), ("punched", sum.punchedByteCount),
      ("free", sum.freeByteCount), ("overhead", sum.overheadByteCount), ("size", sum.byteCount),
      ("disk", sum.diskByteCount),
    ]
    let attributes = numbers.map { " data-\($0.0)=\"\($0.1)\"" }.joined()
    lines.append("<g\(attributes)><title>\(XMLText.escaped(description(name, sum)))</title>")
    lines.append(
      "<rect class=\"e\" x=\"\(place.x.text)\" y=\"\(place.y.text)\" width=\"\(place.width.text)\" "
        + "height=\"\(place.height.text)\"/>")
    for (content, path) in paths(ofTile: tile, at: place) {
      lines.append("<path class=\"\(content.style)\" d=\"\(path)\"/>")
    }
    lines.append("</g>")
    return lines
  }

  /// What a tile shows, joined where neighbours are the same.
  private func paths(ofTile tile: Int, at place: PictureLayout.Place) -> [(Content, String)] {
    var paths: [Content: String] = [:]
    var runStart = 0
    var run: Content?
    func end(_ step: Int) {
      guard let run, runStart < step else { return }
      let left = place.width.part(runStart, of: map.stepsPerTile)
      let width = place.width.part(step, of: map.stepsPerTile).minus(left)
      paths[run, default: ""] +=
        "M\(place.x.plus(left).text) \(place.y.text)h\(width.text)v\(place.height.text)h-\(width.text)z"
    }
    var shares = StepShares()
    for (number, step) in map.steps(ofTile: tile).enumerated() {
      let content = shares.content(of: step, stepByteCount: map.stepByteCount)
      if content != run {
        end(number)
        (run, runStart) = (content, number)
      }
    }
    end(map.stepsPerTile)
    return Content.allCases.compactMap { content in paths[content].map { (content, $0) } }
  }

  private func description(_ name: String, _ space: SegmentSpace) -> String {
    let whole = max(1, space.byteCount)
    let contents = Content.allCases.map { content in
      let size = content.byteCount(of: space)
      return "\(content.name) \(ByteSize.text(size)) (\(share(size, of: whole)))"
    }
    return "\(name): \(contents.joined(separator: ", ")); \(ByteSize.text(space.diskByteCount)) on disk"
  }

  private func share(_ byteCount: Int, of whole: Int) -> String {
    let thousandths = byteCount * 1000 / whole
    return byteCount > 0 && thousandths < 5 ? "< 1 %" : "\((thousandths + 5) / 10) %"
  }

  private func text(_ text: String, x: Int, y: Int, style: String) -> String {
    "<text class=\"\(style)\" x=\"\(x)\" y=\"\(y)\">\(XMLText.escaped(text))</text>"
  }
}

/// Chooses one content for each step so that a whole tile shows each in proportion: what a step does not show of what
/// is in it is owed to the next steps that have it.
private struct StepShares {
  private var owed: [SegmentPicture.Content: Int] = [:]
  /// Of what no segment takes.
  private var owedBlank = 0

  /// - Returns: Nil for what no segment takes.
  mutating func content(of step: SegmentMap.Step, stepByteCount: Int) -> SegmentPicture.Content? {
    var best: (content: SegmentPicture.Content?, byteCount: Int)?
    var blankByteCount = stepByteCount
    for content in SegmentPicture.Content.allCases {
      let byteCount = content.byteCount(of: step)
      if byteCount <= 0 { continue }
      blankByteCount -= byteCount
      owed[content, default: 0] += byteCount
      if let owed = owed[content], owed > best?.byteCount ?? .min { best = (content, owed) }
    }
    if blankByteCount > 1 {
      owedBlank += blankByteCount
      if owedBlank > best?.byteCount ?? .min { best = (nil, owedBlank) }
    }
    guard let content = best?.content else {
      owedBlank -= stepByteCount
      return nil
    }
    owed[content, default: 0] -= stepByteCount
    return content
  }
}

/// Text inside XML, whatever it is.
enum XMLText {
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      // No XML may have these, not even escaped.
      case "\u{0}"..<"\u{9}", "\u{B}", "\u{C}", "\u{E}"..<"\u{20}", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
