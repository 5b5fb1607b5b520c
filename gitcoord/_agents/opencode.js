// Tells gitcoord about the steps of an opencode session, and passes on what it answers. In: gitcoord hooks install --agent opencode.
// Out: gitcoord hooks uninstall --agent opencode. For opencode 1; a missing or failing gitcoord changes nothing.
import { spawn } from "node:child_process"

const EDITS = new Set(["edit", "write", "multiedit", "patch", "apply_patch"])
const MILLISECONDS = 10000

function ask(said) {
  return new Promise((resolve) => {
    let text = ""
    const done = () => {
      try {
        resolve(JSON.parse(text))
      } catch {
        resolve({})
      }
    }
    const child = spawn("gitcoord", ["hook", "--agent", "opencode"], { stdio: ["pipe", "pipe", "ignore"], timeout: MILLISECONDS })
    child.on("error", () => resolve({}))
    child.stdin.on("error", () => {})
    child.stdout.on("data", (part) => (text += part))
    child.on("close", done)
    child.stdin.end(JSON.stringify(said))
  })
}

function files(args) {
  const named = [args?.filePath, args?.path].filter((one) => typeof one === "string")
  const patch = [args?.patchText, args?.patch, args?.input].filter((one) => typeof one === "string").join("\n")
  const heads = /^\*\*\* (?:Add File|Update File|Delete File|Move to):(.*)$/gm
  return [...named, ...[...patch.matchAll(heads)].map((head) => head[1].trim())]
}

export const Gitcoord = async ({ client, directory, worktree }) => {
  const helpers = new Map() // the sessions of subagents, with those that they help: they are one for gitcoord
  const whose = (session) => helpers.get(session) ?? session
  const parts = (session) => ({
    agent: "opencode", session: whose(session), cwd: directory || worktree, subagent: helpers.has(session),
  })
  const tell = async (session, said, go) => {
    if (!said.context || !session) return
    const body = { noReply: !go, parts: [{ type: "text", text: said.context }] }
    await client.session.prompt({ path: { id: session }, body }).catch(() => {})
  }
  let nagged = "" // the session that goes on only because it was asked to
  return {
    event: async ({ event }) => {
      const session = event.properties?.info?.id ?? event.properties?.sessionID
      if (event.type === "session.created") {
        const parent = event.properties?.info?.parentID
        if (parent) helpers.set(session, whose(parent))
        else await tell(session, await ask({ ...parts(session), event: "start", source: "startup" }))
      } else if (event.type === "session.compacted" && !helpers.has(session)) {
        await tell(session, await ask({ ...parts(session), event: "start", source: "compact" }))
      } else if (event.type === "session.idle" && !helpers.has(session)) {
        const said = await ask({ ...parts(session), event: "stop", nagged: nagged === session })
        nagged = said.go_on ? session : ""
        if (said.go_on) await tell(session, said, true)
      } else if (event.type === "session.deleted" && !helpers.has(session)) {
        await ask({ ...parts(session), event: "end" })
      }
    },
    "chat.message": async (input) => {
      const said = await ask({ ...parts(input.sessionID), event: "prompt", id: input.messageID })
      await tell(input.sessionID, said)
    },
    "tool.execute.before": async (input, output) => {
      if (!EDITS.has(input.tool)) return
      const said = await ask({ ...parts(input.sessionID), event: "before-edit", id: input.callID, paths: files(output.args) })
      if (said.verdict === "deny") throw new Error(said.reason || "gitcoord: another session holds it")
    },
    "tool.execute.after": async (input, output) => {
      if (!EDITS.has(input.tool)) return
      const paths = files(input.args ?? output.args ?? output.metadata)
      const said = await ask({ ...parts(input.sessionID), event: "after-edit", id: input.callID, paths })
      if (said.context && typeof output.output === "string") output.output += `\n${said.context}`
    },
    "shell.env": async (input, output) => {
      if (input.sessionID) output.env.GITCOORD_AGENT_ID = whose(input.sessionID)
    },
  }
}
