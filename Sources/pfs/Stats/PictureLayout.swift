/// Where on a picture of the segments each of them goes, in units of which a telephone shows one or less a pixel.
struct PictureLayout {
  static let width = 480
  static let margin = 16
  static let innerWidth = width - 2 * margin
  private static let top = 158
  /// Room for the ids of segments.
  private static let labelWidth = 44
  /// Up to so many have a bar each.
  private static let barLimit = 64
  private static let rowLimit = 80

  /// A length in hundredths of a unit.
  struct Length: Hashable {
    let hundredths: Int

    var text: String {
      let rest = hundredths % 100
      return rest == 0 ? "\(hundredths / 100)" : "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    static func units(_ units: Int) -> Length { Length(hundredths: units * 100) }
    func plus(_ other: Length) -> Length { Length(hundredths: hundredths + other.hundredths) }
    func minus(_ other: Length) -> Length { Length(hundredths: hundredths - other.hundredths) }
    func part(_ part: Int, of whole: Int) -> Length { Length(hundredths: hundredths * part / whole) }
  }

  struct Place {
    let x: Length
    let y: Length
    let width: Length
    let height: Length
  }

  let columnCount: Int
  private let rowCount: Int
  private let rowHeight: Int
  private let tileHeight: Int

  init(tileCount: Int) {
    columnCount = tileCount <= PictureLayout.barLimit ? 1 : max(2, (tileCount - 1) / PictureLayout.rowLimit + 1)
    rowCount = (tileCount + columnCount - 1) / columnCount
    (rowHeight, tileHeight) =
      switch tileCount {
      case ...16: (20, 14)
      case ...PictureLayout.barLimit: (15, 11)
      default: (11, 9)
      }
  }

  var height: Int { PictureLayout.top + rowCount * rowHeight + PictureLayout.margin }

  func place(ofTile tile: Int) -> Place {
    let (row, column) = tile.quotientAndRemainder(dividingBy: columnCount)
    let gap = columnCount == 1 ? 0 : 2
    let room = Length.units(PictureLayout.innerWidth - PictureLayout.labelWidth + gap)
    let left = room.part(column, of: columnCount)
    return Place(
      x: .units(PictureLayout.margin + PictureLayout.labelWidth).plus(left),
      y: .units(PictureLayout.top + row * rowHeight),
      width: room.part(column + 1, of: columnCount).minus(left).minus(.units(gap)), height: .units(tileHeight))
  }

  /// Where the id of the first segment of a row stands; nil where there is none.
  func label(ofTile tile: Int) -> (x: Int, y: Int)? {
    let (row, column) = tile.quotientAndRemainder(dividingBy: columnCount)
    guard column == 0, columnCount == 1 || row % 4 == 0 else { return nil }
    let y = PictureLayout.top + row * rowHeight + tileHeight - (tileHeight > 11 ? 3 : 1)
    return (PictureLayout.margin + PictureLayout.labelWidth - 6, y)
  }

  /// Blue and orange differ for every kind of colour blindness, and dark, middle, hatched and pale in print.
  static let styleSheet = """
    svg{width:100%;max-width:960px;height:auto}\
    text{font-family:system-ui,sans-serif;fill:#1b1d21}\
    .t{font-size:15px;font-weight:600}.s{font-size:13px}.c{font-size:11.5px}.n{font-size:10px;text-anchor:end}\
    .b{fill:#fff}.e{fill:#fff;stroke:#b4b8bf;stroke-width:.5}.o{stroke:#7d828a;stroke-width:.5}\
    .l{fill:#0b5fa5}.d{fill:#e8861a}.p{fill:url(#h)}.f{fill:#cdd1d6}.i{fill:#7d828a}\
    @media screen and (prefers-color-scheme:dark){text{fill:#e8e9eb}.b{fill:#15171b}\
    .e{fill:#15171b;stroke:#5a5f68}.o{stroke:#8b9099}\
    .l{fill:#62b0ee}.d{fill:#c9640a}.f{fill:#454a53}.i{fill:#8b9099}}
    """
}
