import Foundation

/// A JSON value as Foundation's parser understands it.
public struct JSON: CustomStringConvertible {
  private let value: Any

  /// Parses one value.
  public init(parsing data: Data) throws {
    do {
      value = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
    } catch {
      throw TestFailure("no JSON: \(error): \(String(decoding: data.prefix(2000), as: UTF8.self))")
    }
  }

  /// Parses one value a line.
  public static func lines(_ data: Data) throws -> [JSON] {
    try data.split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Data($0)) }
  }

  private init(_ value: Any) { self.value = value }

  /// The member `name` of an object; nil if there is none.
  public subscript(name: String) -> JSON? { (value as? [String: Any])?[name].map { JSON($0) } }

  /// The elements, if it is an array.
  public var elements: [JSON]? { (value as? [Any])?.map { JSON($0) } }

  /// The names of the members, if it is an object.
  public var names: Set<String>? { (value as? [String: Any]).map { Set($0.keys) } }

  /// The number, if it is a whole one.
  public var integer: Int? { (value as? NSNumber)?.intValue }

  /// The text, if it is a string.
  public var string: String? { value as? String }

  /// For messages.
  public var description: String { "\(value)" }
}
