// `GET /api/messages/{sequence}/why`: why a request went where it went.

public import IMSProfile

/// The whole decision about a request.
public struct Why: Sendable {
    /// A user whose criteria were tried.
    public struct Part: Sendable {
        public var servedUser: String
        public var sessionCase: SessionCase
        /// Whether the user was registered then; of a REGISTER: before it.
        public var isRegistered: Bool

        public init(servedUser: String, sessionCase: SessionCase, isRegistered: Bool) {
            self.servedUser = servedUser
            self.sessionCase = sessionCase
            self.isRegistered = isRegistered
        }
    }

    public struct Criterion: Sendable {
        /// Whose it is.
        public var part: Part
        /// The name of the application server, or the URI of one that nobody knows.
        public var server: String
        /// `matched`, `not_matched`, `not_reached`, `skipped` or `tried_before`.
        public var verdict: String
        public var conditions: CriterionVerdict

        public init(of part: Part, server: String, verdict: String, conditions: CriterionVerdict) {
            self.part = part
            self.server = server
            self.verdict = verdict
            self.conditions = conditions
        }
    }

    /// A contact of the user whom the request is for.
    public struct Contact: Sendable {
        public var uri: String
        /// In thousandths.
        public var q: Int
        /// The caller's preference, in thousandths (RFC 3841 §7.2.4).
        public var score: Int
        /// `tried`, `not_tried` or `discarded`.
        public var verdict: String

        public init(uri: String, q: Int, score: Int, verdict: String) {
            self.uri = uri
            self.q = q
            self.score = score
            self.verdict = verdict
        }
    }

    /// Why the sender was believed; nil: it was not, or it did not matter.
    public var believedBecause: String?
    /// Whose service the request came to; nil: nobody's.
    public var served: Part?
    /// The users beside whom the core served at once.
    public var others: [Part]
    /// Those of all users who were served, in the order in which they were tried.
    public var criteria: [Criterion]
    public var contacts: [Contact]
    /// nil: nowhere.
    public var nextHop: String?
    /// Of a request that no application server took: the criterion that lacked the least.
    public var nearestMiss: String?
    public var sentence: String

    public init(
        believedBecause: String?, served: Part?, others: [Part], criteria: [Criterion], contacts: [Contact], nextHop: String?,
        nearestMiss: String?,
        sentence: String
    ) {
        self.believedBecause = believedBecause
        self.served = served
        self.others = others
        self.criteria = criteria
        self.contacts = contacts
        self.nextHop = nextHop
        self.nearestMiss = nearestMiss
        self.sentence = sentence
    }
}

/// Why there is no answer to why.
public enum WhyFailure: Error, Sendable {
    /// Nothing of this number is recorded, or not any more.
    case notKept
    case isResponse
}

extension Why {
    var answer: Answer {
        .json { json in
            json.object { json in
                json.member("believed_because", believedBecause)
                if let served {
                    served.writeMembers(to: &json)
                } else {
                    for name in ["served_user", "session_case", "registered"] { json.member(name, nil as String?) }
                }
                json.name("also_served")
                json.array { json in for part in others { json.object { part.writeMembers(to: &$0) } } }
                json.name("criteria")
                json.array { json in for criterion in criteria { criterion.write(to: &json) } }
                json.name("contacts")
                json.array { json in for contact in contacts { contact.write(to: &json) } }
                json.member("next_hop", nextHop)
                json.member("nearest_miss", nearestMiss)
                json.member("sentence", sentence)
            }
        }
    }
}

extension Why.Part {
    fileprivate func writeMembers(to json: inout JSONWriter) {
        json.member("served_user", servedUser)
        json.member("session_case", sessionCase.name)
        json.name("registered")
        json.boolean(isRegistered)
    }
}

extension Why.Criterion {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("priority", conditions.priority)
            json.member("application_server", server)
            json.member("served_user", part.servedUser)
            json.member("session_case", part.sessionCase.name)
            json.member("verdict", verdict)
            json.member("normal_form", conditions.isConjunctive ? "conjunctive" : "disjunctive")
            if let part = conditions.profilePart {
                json.name("profile_part")
                part.write(to: &json)
            }
            json.name("groups")
            json.array { json in
                for group in conditions.groups {
                    json.array { json in for condition in group { condition.write(to: &json) } }
                }
            }
        }
    }
}

extension ConditionVerdict {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("condition", condition)
            json.member("value", value)
            json.name("verdict")
            json.boolean(holds)
        }
    }
}

extension Why.Contact {
    fileprivate func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("uri", uri)
            json.name("q")
            json.thousandths(Int64(q))
            json.name("score")
            json.thousandths(Int64(score))
            json.member("verdict", verdict)
        }
    }
}
