-- Ardour without a display, as tests/bridge/ardour.py drives it: ardour7-lua daw.lua FOLDER NAME
--
-- A line on standard input is a command; its answer is one line that begins with "> ", since Ardour prints too.
-- Positions are beats, quarter notes from the start of the session; Ardour counts 1920 ticks to one.

local ui = ARDOUR.TransportRequestSource.TRS_UI
local tracks = {}

-- After a stop Ardour tidies up in a thread of its own, and nothing tells when it has done; told to go elsewhere
-- meanwhile it may crash, or keep a take twice.
local settle_seconds = 0.3

local function answer(...)
  io.stdout:write("> ", table.concat({...}, " "), "\n")
  io.stdout:flush()
end

local function wait_until(holds, seconds)
  local deadline = ARDOUR.LuaAPI.monotonic_time() + seconds * 1000000
  while not holds() and ARDOUR.LuaAPI.monotonic_time() < deadline do
    ARDOUR.LuaAPI.usleep(2000)
  end
  return holds()
end

local function beats(text)
  return Temporal.Beats.from_double(tonumber(text))
end

local function number_of(quarters) -- Beats only tell what they are as "BEAT:TICK"
  local beat, tick = tostring(quarters):match("(-?%d+):(-?%d+)")
  return string.format("%.6f", tonumber(beat) + tonumber(tick) / Temporal.ticks_per_beat)
end

local function sample_of(text)
  return Temporal.TempoMap.read():sample_at_beats(beats(text))
end

local function position()
  return number_of(Temporal.TempoMap.read():quarters_at(Temporal.timepos_t(Session:transport_sample())))
end

local function takes()
  return tracks.answers:playlist():n_regions()
end

local commands = {}

function commands.locate(beat)
  local sample = sample_of(beat)
  Session:request_locate(sample, false, ARDOUR.LocateTransportDisposition.MustStop, ui)
  assert(wait_until(function() return Session:transport_sample() == sample end, 5), "no locate")
  return position()
end

function commands.roll()
  Session:maybe_enable_record(false)
  local from = Session:transport_sample()
  Session:request_roll(ui)
  assert(wait_until(function() return Session:transport_sample() > from end, 5), "no roll")
  return position()
end

function commands.wait(beat)
  local sample = sample_of(beat)
  local from = Session:transport_sample()
  local seconds = 5 + 2 * (sample - from) / Session:nominal_sample_rate()
  assert(wait_until(function() return Session:transport_sample() >= sample end, seconds), "the song stands")
  return position()
end

function commands.stop()
  local before = takes()
  Session:request_stop(false, false, ui)
  assert(wait_until(function() return Session:transport_stopped() end, 5), "no stop")
  wait_until(function() return takes() > before end, 1) -- none comes where nothing was heard
  ARDOUR.LuaAPI.usleep(settle_seconds * 1000000)
  return position()
end

function commands.takes() -- of each note: its take's id, pitch, velocity, start, duration
  local map = Temporal.TempoMap.read()
  local lines = {}
  for region in tracks.answers:playlist():region_list():iter() do
    local take = region:to_stateful():id():to_s()
    local first = map:quarters_at(region:position()) - map:quarters_at(region:start())
    for note in ARDOUR.LuaAPI.note_list(region:to_midiregion():midi_source(0):model()):iter() do
      lines[#lines + 1] = table.concat({take, note:note(), note:velocity(), number_of(first + note:time()),
                                        number_of(note:length())}, " ")
    end
  end
  return table.concat(lines, ";")
end

AudioEngine:set_backend("JACK", "ardour", "")
Session = load_session(arg[1], arg[2])
assert(Session, "the session does not load")
ARDOUR.config():set_send_midi_clock(true)
for route in Session:get_tracks():iter() do
  tracks[route:name()] = route:to_track()
end
tracks.answers:rec_enable_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
local from = AudioEngine:processed_samples()
local runs = wait_until(function() return AudioEngine:processed_samples() > from + 4800 end, 2)
answer(runs and AudioEngine:running() and "ready" or "JACK is lost")

for line in io.stdin:lines() do
  local words = {}
  for word in line:gmatch("%S+") do
    words[#words + 1] = word
  end
  local worked, result = pcall(commands[words[1]], table.unpack(words, 2))
  answer(worked and "ok" or "failed", tostring(result))
end
quit()
